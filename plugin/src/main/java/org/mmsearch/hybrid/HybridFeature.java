package org.mmsearch.hybrid;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.Fusion;
import org.mmsearch.visibility.VectorQueries;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Setting;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.plugins.SearchPlugin.AggregationSpec;
import org.opensearch.plugins.SearchPlugin.QuerySpec;
import org.opensearch.plugins.SearchPlugin.SearchExtSpec;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;
import org.opensearch.search.pipeline.SearchResponseProcessor;
import org.opensearch.threadpool.ThreadPool;

/** All that the plugin class registers for the {@code hybrid} clause. */
public final class HybridFeature {

    private final HybridClause clause;
    private SearchNotesFilter notes;

    /** @param name the clause's name on this node */
    public HybridFeature(String name) {
        clause = new HybridClause(name);
    }

    /** @return what this node's hybrids have done */
    public HybridStats stats() {
        return clause.stats();
    }

    /** What a node's owner can set. */
    public List<Setting<?>> settings() {
        return List.of(LegSearches.FROM);
    }

    /** The clause, and the two forms it takes on its way to the shards. */
    public List<QuerySpec<?>> queries() {
        return List.of(
            new QuerySpec<>(clause.name(), in -> new HybridQueryBuilder(in, clause), parser -> HybridParser.parse(parser, clause)),
            new QuerySpec<>(
                InShardQueryBuilder.NAME,
                in -> new InShardQueryBuilder(in, clause),
                parser -> HybridClause.internal(parser, InShardQueryBuilder.NAME)
            ),
            new QuerySpec<>(
                WinnersQueryBuilder.NAME,
                in -> new WinnersQueryBuilder(in, clause),
                parser -> HybridClause.internal(parser, WinnersQueryBuilder.NAME)
            )
        );
    }

    /** What carries the legs to several shards and back. */
    public List<AggregationSpec> aggregations() {
        return List.of(
            new AggregationSpec(LegsAggregationBuilder.NAME, in -> new LegsAggregationBuilder(in, clause), LegsAggregationBuilder::parse).addResultReader(
                InternalLegs::new
            )
        );
    }

    /** The legs on each hit. */
    public List<FetchSubPhase> fetchSubPhases() {
        return List.of(new LegsFetchPhase(clause.running()));
    }

    /** What an answer says of legs that are missing from it. */
    public List<SearchExtSpec<?>> searchExts() {
        return List.of(new SearchExtSpec<>(MmsearchExt.NAME, MmsearchExt::new, MmsearchExt::parse));
    }

    /** The classic processors that name a fusion. */
    public Map<String, Processor.Factory<SearchPhaseResultsProcessor>> phaseResultsProcessors() {
        Map<String, Processor.Factory<SearchPhaseResultsProcessor>> processors = new HashMap<>();
        for (String type : FusionProcessor.TYPES) {
            processors.put(type, FusionProcessor.factory(type, this::inline));
        }
        return processors;
    }

    /** The classic processor that explained hybrids. */
    public Map<String, Processor.Factory<SearchResponseProcessor>> responseProcessors() {
        return Map.of(ExplanationProcessor.TYPE, ExplanationProcessor.factory());
    }

    private void inline(Fusion fusion) {
        SearchNotes search = notes.current();
        if (search != null) {
            search.inlineFusion(fusion);
        }
    }

    /** Gives the clause what it works with. */
    public void open(
        ClusterService cluster,
        ThreadPool threads,
        IndexNameExpressionResolver resolver,
        NamedWriteableRegistry registry,
        VectorQueries vectors
    ) {
        clause.searches().open(cluster.getClusterSettings(), threads.executor(ThreadPool.Names.INDEX_SEARCHER));
        notes = new SearchNotesFilter(threads.getThreadContext(), () -> cluster.localNode().getId());
        clause.coordinator(new Coordinator(clause, cluster, resolver, registry, notes, vectors));
    }

    /** Lets a hybrid add to its search's answer; asked for after {@link #open}. */
    public List<ActionFilter> actionFilters() {
        return List.of(notes);
    }
}
