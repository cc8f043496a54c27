package org.mmsearch.neural;

import org.mmsearch.neural.vectors.LikeDocument;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilders;

/** Keeps the document that a query is like out of its own hits. */
final class ExcludedDocument {

    private ExcludedDocument() {}

    /** @param filter what the query filters by besides, or null */
    static QueryBuilder document(LikeDocument like, QueryBuilder filter) {
        BoolQueryBuilder itself = QueryBuilders.boolQuery().filter(QueryBuilders.idsQuery().addIds(like.id()));
        if (like.index() != null) {
            // An _id is unique in its index only.
            itself.filter(QueryBuilders.termQuery("_index", like.index()));
        }
        BoolQueryBuilder others = QueryBuilders.boolQuery().mustNot(itself);
        return filter == null ? others : others.filter(filter);
    }
}
