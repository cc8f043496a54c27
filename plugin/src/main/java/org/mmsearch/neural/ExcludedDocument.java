package org.mmsearch.neural;

import org.mmsearch.neural.vectors.LikeDocument;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;

/** Excludes the document of {@code like} from the hits. */
final class ExcludedDocument {

    private ExcludedDocument() {}

    /**
     * Returns the filter with the exclusion.
     *
     * @param filter the other filter of the query, or null
     */
    static QueryBuilder document(LikeDocument like, QueryBuilder filter) {
        BoolQueryBuilder itself = QueryBuilders.boolQuery().filter(QueryBuilders.idsQuery().addIds(like.id()));
        if (like.index() != null) {
            // An _id is unique only within its index.
            itself.filter(QueryBuilders.termQuery("_index", like.index()));
        }
        BoolQueryBuilder others = QueryBuilders.boolQuery().mustNot(itself);
        return filter == null ? others : others.filter(filter);
    }
}
