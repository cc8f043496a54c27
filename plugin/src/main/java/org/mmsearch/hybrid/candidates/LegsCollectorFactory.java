package org.mmsearch.hybrid.candidates;

import java.io.IOException;
import java.util.Collection;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.search.CollectionTerminatedException;
import org.apache.lucene.search.Collector;
import org.apache.lucene.search.CollectorManager;
import org.apache.lucene.search.LeafCollector;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreMode;
import org.mmsearch.hybrid.legs.ShardLegs;
import org.opensearch.common.lucene.search.TopDocsAndMaxScore;
import org.opensearch.search.internal.SearchContext;
import org.opensearch.search.query.QueryCollectorArguments;
import org.opensearch.search.query.QueryCollectorContextSpec;
import org.opensearch.search.query.QueryCollectorContextSpecFactory;
import org.opensearch.search.query.QueryPhaseExecutionException;
import org.opensearch.search.query.QuerySearchResult;
import org.opensearch.search.query.ReduceableSearchResult;

/** For a search with a {@link CandidatesQuery}, replaces the shard's top documents with the windows of the legs. */
public final class LegsCollectorFactory implements QueryCollectorContextSpecFactory {

    @Override
    public Optional<QueryCollectorContextSpec> createQueryCollectorContextSpec(
        SearchContext context,
        Query query,
        QueryCollectorArguments arguments
    ) {
        CandidatesQuery candidates = CandidatesQuery.in(query);
        if (candidates == null) {
            return Optional.empty();
        }
        return Optional.of(new LegsCollector(context, candidates.on(context), query == candidates ? null : query));
    }

    /** @param filter the query around the candidates query, or null */
    private record LegsCollector(SearchContext context, ShardLegs legs, Query filter) implements QueryCollectorContextSpec {

        @Override
        public String getContextName() {
            return "mmsearch_legs";
        }

        @Override
        public Collector create(Collector in) {
            return new CollectsNothing();
        }

        @Override
        public CollectorManager<?, ReduceableSearchResult> createManager(CollectorManager<?, ReduceableSearchResult> in) {
            return new CollectorManager<CollectsNothing, ReduceableSearchResult>() {
                @Override
                public CollectsNothing newCollector() {
                    return new CollectsNothing();
                }

                @Override
                public ReduceableSearchResult reduce(Collection<CollectsNothing> collectors) {
                    return LegsCollector.this::postProcess;
                }
            };
        }

        @Override
        public void postProcess(QuerySearchResult result) throws IOException {
            if (context.request().numberOfShards() == 1) {
                throw new IllegalStateException(
                    "expected the search to go to several shards, got " + context.shardTarget()
                        + " alone: an index changed during the search, send it again"
                );
            }
            AtomicBoolean late = new AtomicBoolean();
            TopDocsAndMaxScore found = new TopDocsAndMaxScore(legs.run(filter, () -> late.set(true)).topDocs(), Float.NaN);
            // OpenSearch checks the deadline before this point, because the surrounding search collects nothing.
            if (late.get()) {
                if (Boolean.FALSE.equals(context.request().allowPartialSearchResults())) {
                    throw new QueryPhaseExecutionException(context.shardTarget(), "Time exceeded");
                }
                result.searchTimedOut(true);
            }
            result.topDocs(found, null);
        }
    }

    private static final class CollectsNothing implements Collector {

        /** One shared instance avoids the cost of a stack trace per segment. */
        private static final CollectionTerminatedException DONE = new CollectionTerminatedException();

        @Override
        public LeafCollector getLeafCollector(LeafReaderContext leaf) {
            throw DONE;
        }

        @Override
        public ScoreMode scoreMode() {
            return ScoreMode.COMPLETE_NO_SCORES;
        }
    }
}
