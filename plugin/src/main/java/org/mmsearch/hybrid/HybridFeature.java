package org.mmsearch.hybrid;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.mmsearch.fusion.Fusion;
import org.mmsearch.hybrid.candidates.CandidatesQueryBuilder;
import org.mmsearch.hybrid.candidates.LegsCollectorFactory;
import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.hybrid.fused.InShardQueryBuilder;
import org.mmsearch.hybrid.fused.LegsFetchPhase;
import org.mmsearch.hybrid.fused.RankDocsQueryBuilder;
import org.mmsearch.hybrid.legs.HybridStats;
import org.mmsearch.hybrid.legs.InternalLegs;
import org.mmsearch.hybrid.legs.LegSearches;
import org.mmsearch.hybrid.legs.LegsAggregationBuilder;
import org.mmsearch.hybrid.pipeline.ExplanationProcessor;
import org.mmsearch.hybrid.pipeline.FusionProcessor;
import org.mmsearch.hybrid.search.DegradedLeg;
import org.mmsearch.hybrid.search.FusionPhase;
import org.mmsearch.hybrid.search.HybridRewrite;
import org.mmsearch.hybrid.search.MmsearchExt;
import org.mmsearch.hybrid.search.SearchNotes;
import org.mmsearch.hybrid.search.SearchNotesFilter;
import org.mmsearch.hybrid.search.Way;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.visibility.VectorQueries;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.plugins.SearchPlugin.AggregationSpec;
import org.opensearch.plugins.SearchPlugin.QuerySpec;
import org.opensearch.plugins.SearchPlugin.SearchExtSpec;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;
import org.opensearch.search.pipeline.SearchPipelineService;
import org.opensearch.search.pipeline.SearchRequestProcessor;
import org.opensearch.search.pipeline.SearchResponseProcessor;
import org.opensearch.search.pipeline.SystemGeneratedProcessor.SystemGeneratedFactory;
import org.opensearch.search.query.QueryCollectorContextSpecFactory;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;

/** Everything that the plugin class registers for the {@code hybrid} clause. */
public final class HybridFeature {

    private final HybridClause clause;
    private Ways ways;
    private SearchNotesFilter notes;
    private HybridRewrite.Services services;

    /**
     * @param name the clause's name on this node
     * @param memory the circuit breaker for the heap of hit lists
     */
    public HybridFeature(String name, MemoryBreaker memory) {
        clause = new HybridClause(name, memory);
    }

    /** Returns the statistics of hybrids on this node. */
    public HybridStats stats() {
        return clause.stats();
    }

    /** Returns the services for hybrids on this node. */
    public HybridNode node() {
        return clause.node();
    }

    /** Returns the node settings. */
    public List<Setting<?>> settings() {
        return List.of(LegSearches.FROM);
    }

    /** Returns the default settings of a node: the processors that fuse hybrids are enabled. */
    public Settings additionalSettings() {
        return Settings.builder()
            .putList(SearchPipelineService.ENABLED_SYSTEM_GENERATED_FACTORIES_SETTING.getKey(), Ways.FACTORIES)
            .build();
    }

    /** Returns the clause and the internal queries that shards execute. */
    public List<QuerySpec<?>> queries() {
        HybridNode node = clause.node();
        return List.of(
            new QuerySpec<>(clause.name(), in -> new HybridQueryBuilder(in, clause), parser -> HybridParser.parse(parser, clause)),
            internal(InShardQueryBuilder.NAME, in -> new InShardQueryBuilder(in, node)),
            internal(CandidatesQueryBuilder.NAME, in -> new CandidatesQueryBuilder(in, node)),
            internal(RankDocsQueryBuilder.NAME, in -> new RankDocsQueryBuilder(in, node)),
            internal(ExplainedQueryBuilder.NAME, ExplainedQueryBuilder::new)
        );
    }

    private static QuerySpec<QueryBuilder> internal(String name, Writeable.Reader<QueryBuilder> reader) {
        return new QuerySpec<>(name, reader, parser -> HybridNode.internal(parser, name));
    }

    /** Returns the aggregation that collects the legs' windows if no processor can. */
    public List<AggregationSpec> aggregations() {
        return List.of(
            new AggregationSpec(
                LegsAggregationBuilder.NAME,
                in -> new LegsAggregationBuilder(in, clause.node().searches()),
                LegsAggregationBuilder::parse
            ).addResultReader(InternalLegs::new)
        );
    }

    /** Returns the collector that replaces a shard's top documents with the legs' windows. */
    public List<QueryCollectorContextSpecFactory> collectors() {
        return List.of(new LegsCollectorFactory());
    }

    /** Returns the fetch sub-phase that adds the legs to each hit. */
    public List<FetchSubPhase> fetchSubPhases() {
        return List.of(new LegsFetchPhase(clause.node().running()));
    }

    /** Returns the response section that lists missing legs. */
    public List<SearchExtSpec<?>> searchExts() {
        return List.of(new SearchExtSpec<>(MmsearchExt.NAME, MmsearchExt::new, MmsearchExt::parse));
    }

    /** Returns OpenSearch's processors that define a fusion. */
    public Map<String, Processor.Factory<SearchPhaseResultsProcessor>> phaseResultsProcessors() {
        Map<String, Processor.Factory<SearchPhaseResultsProcessor>> processors = new HashMap<>();
        for (String type : FusionProcessor.TYPES) {
            processors.put(type, FusionProcessor.factory(type, this::inline));
        }
        return processors;
    }

    /** Returns OpenSearch's response processor that explained hybrids. */
    public Map<String, Processor.Factory<SearchResponseProcessor>> responseProcessors() {
        return Map.of(ExplanationProcessor.TYPE, ExplanationProcessor.factory());
    }

    /** Returns the processor that rewrites a request whose legs run before it. */
    public Map<String, SystemGeneratedFactory<SearchRequestProcessor>> generatedRequestProcessors() {
        return HybridRewrite.factory(request -> ways.of(request), () -> notes.current(), () -> services);
    }

    /** Returns the processor that fuses between the query phase and the fetch phase. */
    public Map<String, SystemGeneratedFactory<SearchPhaseResultsProcessor>> generatedPhaseResultsProcessors() {
        return FusionPhase.factory(
            request -> request.source() != null
                && (request.source().query() instanceof CandidatesQueryBuilder
                    || notes.current() != null && notes.current().way() != Way.NONE)
        );
    }

    private void inline(Fusion fusion) {
        SearchNotes search = notes.current();
        if (search != null) {
            search.inlineFusion(fusion);
        }
    }

    /**
     * Reports in the response of a search that something is missing from it.
     *
     * @param rewrite the rewrite context of the search
     * @param name the name of the clause with the missing part
     * @param reason the cause
     */
    public void degraded(QueryCoordinatorContext rewrite, String name, String reason) {
        SearchNotes search = notes.of(rewrite);
        if (search != null) {
            search.degraded(new DegradedLeg(name, reason));
        }
    }

    /** Sets the node's services. Called once, when the node starts. */
    public void open(
        Client client,
        ClusterService cluster,
        IndexNameExpressionResolver resolver,
        NamedXContentRegistry xContent,
        NamedWriteableRegistry writeables,
        VectorQueries vectors
    ) {
        clause.node().searches().open(
            cluster.getClusterSettings(),
            client.threadPool().executor(ThreadPool.Names.INDEX_SEARCHER)
        );
        ways = new Ways(cluster.getClusterSettings());
        services = new HybridRewrite.Services(client, xContent, writeables);
        notes = new SearchNotesFilter(
            clause.name(),
            client,
            () -> cluster.localNode().getId(),
            ways::of,
            request -> clause.coordinator().severalShards(request),
            cluster.getClusterSettings()
        );
        clause.coordinator(new Coordinator(clause, cluster, resolver, writeables, notes, vectors));
    }

    /** Returns the node components that OpenSearch looks up by class. Called after {@link #open}. */
    public List<Object> components() {
        return List.of(notes.remaining());
    }

    /** Returns the action filter that adds to search responses. Called after {@link #open}. */
    public List<ActionFilter> actionFilters() {
        return List.of(notes);
    }
}
