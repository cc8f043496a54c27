package org.mmsearch.hybrid.search;

import java.util.List;
import java.util.Set;

import org.apache.lucene.search.BooleanClause;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.search.builder.SearchSourceBuilder;

/** Which legs the fetch phase needs: their terms for highlighting, their queries for explaining, inner hits and named queries. */
final class FetchedLegs {

    /** Queries that hold no other query, or show those that they hold to a visitor; none of them has inner hits. */
    private static final Set<String> PLAIN = Set.of(
        "bool", "boosting", "constant_score", "dis_max", "exists", "fuzzy", "ids", "knn", "match", "match_all", "match_bool_prefix",
        "match_none", "match_phrase", "match_phrase_prefix", "mmsearch_knn", "multi_match", "prefix", "query_string", "range", "regexp",
        "simple_query_string", "term", "terms", "wildcard"
    );

    private FetchedLegs() {}

    /** @return all the legs, or none where nothing that the fetch phase does depends on them */
    static List<QueryBuilder> of(CandidatesQueryBuilder hybrid, SearchSourceBuilder source) {
        boolean needed = source.highlighter() != null
            || Boolean.TRUE.equals(source.explain())
            || hybrid.described().named().isEmpty() == false
            || hybrid.legs().stream().anyMatch(FetchedLegs::mayBeNamed);
        return needed ? hybrid.legs() : List.of();
    }

    private static boolean mayBeNamed(QueryBuilder leg) {
        boolean[] found = new boolean[1];
        leg.visit(new QueryBuilderVisitor() {
            @Override
            public void accept(QueryBuilder query) {
                found[0] |= query.queryName() != null || PLAIN.contains(query.getWriteableName()) == false;
            }

            @Override
            public QueryBuilderVisitor getChildVisitor(BooleanClause.Occur occur) {
                return this;
            }
        });
        return found[0];
    }
}
