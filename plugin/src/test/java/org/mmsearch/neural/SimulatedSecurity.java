package org.mmsearch.neural;

import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.ConstantScoreQuery;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.join.ToChildBlockJoinQuery;
import org.opensearch.common.lucene.search.Queries;
import org.opensearch.index.IndexModule;
import org.opensearch.index.query.ParsedQuery;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.internal.SearchContext;

/** Changes searches like the security plugin for a user who may see only red products. */
public final class SimulatedSecurity extends Plugin {

    @Override
    public void onIndexModule(IndexModule module) {
        if (module.getIndex().getName().startsWith("secured")) {
            module.addSearchOperationListener(new Rules());
        }
    }

    private static final class Rules implements SearchOperationListener {
        @Override
        public void onPreQueryPhase(SearchContext search) {
            QueryShardContext shard = search.getQueryShardContext();
            ConstantScoreQuery rule = new ConstantScoreQuery(new TermQuery(new Term("color", "red")));
            BooleanQuery.Builder both = new BooleanQuery.Builder().setMinimumNumberShouldMatch(1).add(rule, Occur.SHOULD);
            if (shard.getMapperService().hasNested()) {
                both.add(new ToChildBlockJoinQuery(rule, shard.bitsetFilter(Queries.newNonNestedFilter())), Occur.SHOULD);
            }
            both.add(search.parsedQuery().query(), Occur.MUST);
            search.parsedQuery(new ParsedQuery(both.build()));
            search.preProcess(true);
        }
    }
}
