package org.mmsearch.hybrid.fused;

import java.io.IOException;
import java.util.List;

import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.Query;
import org.mmsearch.hybrid.legs.Legs;
import org.mmsearch.hybrid.legs.Totals;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryShardContext;

/** A hybrid as a query that matches fused documents. It keeps the legs for highlighting, inner hits and named queries. */
abstract class FusedQueryBuilder<T extends FusedQueryBuilder<T>> extends LegsQueryBuilder<T> {

    FusedQueryBuilder(HybridNode node, List<QueryBuilder> legs, Legs described) {
        super(node, legs, described);
    }

    FusedQueryBuilder(StreamInput in, HybridNode node) throws IOException {
        super(in, node);
    }

    /**
     * Builds the Lucene query of a shard.
     *
     * @param queries the legs as Lucene queries
     */
    abstract FusedQuery fused(QueryShardContext context, List<Query> queries);

    @Override
    protected final Query doToQuery(QueryShardContext context) throws IOException {
        List<Query> queries = queries(context);
        FusedQuery fused = fused(context, queries);
        node().running().add(context, fused);
        for (int leg : described().named()) {
            context.addNamedQuery(described().names().get(leg), new LegDocsQuery(fused, leg));
        }
        if (described().totals() == Totals.WINDOW) {
            return fused;
        }
        BooleanQuery.Builder all = new BooleanQuery.Builder().add(fused, Occur.SHOULD);
        for (Query query : queries) {
            all.add(new BoostQuery(new ConstantScoreQuery(query), 0f), Occur.SHOULD);
        }
        return all.build();
    }
}
