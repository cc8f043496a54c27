package org.mmsearch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

import org.mmsearch.answers.AnswersFeature;
import org.mmsearch.hybrid.HybridFeature;
import org.mmsearch.hybrid.fused.HybridNode;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.neural.NeuralFeature;
import org.mmsearch.stats.NativeLibraries;
import org.mmsearch.stats.NodeStats;
import org.mmsearch.stats.RestStatsAction;
import org.mmsearch.stats.StatsAction;
import org.mmsearch.stats.TransportStatsAction;
import org.mmsearch.visibility.VectorQueries;
import org.mmsearch.visibility.WireVersion;
import org.opensearch.action.ActionRequest;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.lifecycle.LifecycleComponent;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.IndexScopedSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.settings.SettingsFilter;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.env.Environment;
import org.opensearch.env.NodeEnvironment;
import org.opensearch.index.IndexModule;
import org.opensearch.indices.breaker.BreakerSettings;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.CircuitBreakerPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPipelinePlugin;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.repositories.RepositoriesService;
import org.opensearch.rest.RestController;
import org.opensearch.rest.RestHandler;
import org.opensearch.rest.RestHeaderDefinition;
import org.opensearch.script.ScriptService;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchPhaseResultsProcessor;
import org.opensearch.search.pipeline.SearchRequestProcessor;
import org.opensearch.search.pipeline.SearchResponseProcessor;
import org.opensearch.search.pipeline.SystemGeneratedProcessor.SystemGeneratedFactory;
import org.opensearch.search.query.QueryCollectorContextSpecFactory;
import org.opensearch.threadpool.ExecutorBuilder;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;
import org.opensearch.watcher.ResourceWatcherService;

/** The plugin class: registers the queries, settings, actions and processors of mmsearch, and contains no other logic. */
public final class MmsearchPlugin extends Plugin implements SearchPlugin, ActionPlugin, SearchPipelinePlugin, CircuitBreakerPlugin {

    private final MemoryBreaker memory = new MemoryBreaker();
    private final ClauseNames names;
    private final NeuralFeature neural;
    private final NodeStats stats = new NodeStats();
    private final HybridFeature hybrid;
    private final VectorQueries vectors = new VectorQueries();
    private final AnswersFeature answers = new AnswersFeature();

    /**
     * @param settings the node's settings
     * @param configPath the node's config folder, or null in a unit test
     */
    public MmsearchPlugin(Settings settings, Path configPath) {
        names = ClauseNames.of(settings);
        neural = new NeuralFeature(names.neural(), memory);
        hybrid = new HybridFeature(names.hybrid(), memory);
    }

    @Override
    public Settings additionalSettings() {
        return Settings.builder().put(WireVersion.settings()).put(hybrid.additionalSettings()).build();
    }

    @Override
    public BreakerSettings getCircuitBreaker(Settings settings) {
        return MemoryBreaker.settings(settings);
    }

    @Override
    public void setCircuitBreaker(CircuitBreaker breaker) {
        memory.open(breaker);
    }

    /** Returns the names under which this node registers the clauses. */
    public ClauseNames names() {
        return names;
    }

    /** Returns the services of this node's hybrids, for tests. */
    public HybridNode hybridNode() {
        return hybrid.node();
    }

    @Override
    public List<QuerySpec<?>> getQueries() {
        List<QuerySpec<?>> queries = new ArrayList<>(neural.queries());
        queries.addAll(hybrid.queries());
        queries.addAll(vectors.queries());
        return queries;
    }

    @Override
    public List<AggregationSpec> getAggregations() {
        return hybrid.aggregations();
    }

    @Override
    public List<FetchSubPhase> getFetchSubPhases(FetchPhaseConstructionContext context) {
        List<FetchSubPhase> phases = new ArrayList<>(hybrid.fetchSubPhases());
        phases.addAll(answers.fetchSubPhases());
        phases.addAll(neural.fetchSubPhases());
        return phases;
    }

    @Override
    public List<SearchExtSpec<?>> getSearchExts() {
        List<SearchExtSpec<?>> exts = new ArrayList<>(hybrid.searchExts());
        exts.addAll(neural.searchExts());
        return exts;
    }

    @Override
    public List<Setting<?>> getSettings() {
        List<Setting<?>> settings = new ArrayList<>(neural.settings());
        settings.addAll(hybrid.settings());
        settings.addAll(answers.settings());
        return settings;
    }

    @Override
    public List<ExecutorBuilder<?>> getExecutorBuilders(Settings settings) {
        return neural.executors(settings);
    }

    @Override
    public Collection<Object> createComponents(
        Client client,
        ClusterService clusterService,
        ThreadPool threadPool,
        ResourceWatcherService resourceWatcherService,
        ScriptService scriptService,
        NamedXContentRegistry xContentRegistry,
        Environment environment,
        NodeEnvironment nodeEnvironment,
        NamedWriteableRegistry namedWriteableRegistry,
        IndexNameExpressionResolver indexNameExpressionResolver,
        Supplier<RepositoriesService> repositoriesServiceSupplier
    ) {
        answers.open(clusterService, indexNameExpressionResolver);
        vectors.open(namedWriteableRegistry, clusterService::state, threadPool.getThreadContext());
        hybrid.open(client, clusterService, indexNameExpressionResolver, xContentRegistry, namedWriteableRegistry, vectors);
        List<Object> components = new ArrayList<>(
            neural.components(clusterService, threadPool, environment, indexNameExpressionResolver, vectors, hybrid::degraded)
        );
        components.addAll(hybrid.components());
        components.add(stats.with("encoder", neural::numbers).with("hybrid", hybrid.stats()::asMap).with("knn", NativeLibraries::asMap));
        return components;
    }

    @Override
    public Collection<Class<? extends LifecycleComponent>> getGuiceServiceClasses() {
        return neural.services();
    }

    @Override
    public List<ActionHandler<? extends ActionRequest, ? extends ActionResponse>> getActions() {
        return List.of(new ActionHandler<>(StatsAction.INSTANCE, TransportStatsAction.class));
    }

    @Override
    public List<RestHandler> getRestHandlers(
        Settings settings,
        RestController restController,
        ClusterSettings clusterSettings,
        IndexScopedSettings indexScopedSettings,
        SettingsFilter settingsFilter,
        IndexNameExpressionResolver indexNameExpressionResolver,
        Supplier<DiscoveryNodes> nodesInCluster
    ) {
        return List.of(new RestStatsAction());
    }

    @Override
    public Map<String, Processor.Factory<SearchRequestProcessor>> getRequestProcessors(Parameters parameters) {
        return names.official() ? neural.requestProcessors() : Map.of();
    }

    @Override
    public Map<String, Processor.Factory<SearchPhaseResultsProcessor>> getSearchPhaseResultsProcessors(Parameters parameters) {
        return names.official() ? hybrid.phaseResultsProcessors() : Map.of();
    }

    @Override
    public Map<String, Processor.Factory<SearchResponseProcessor>> getResponseProcessors(Parameters parameters) {
        return names.official() ? hybrid.responseProcessors() : Map.of();
    }

    @Override
    public Map<String, SystemGeneratedFactory<SearchRequestProcessor>> getSystemGeneratedRequestProcessors(Parameters parameters) {
        return hybrid.generatedRequestProcessors();
    }

    @Override
    public Map<String, SystemGeneratedFactory<SearchPhaseResultsProcessor>> getSystemGeneratedSearchPhaseResultsProcessors(
        Parameters parameters
    ) {
        return hybrid.generatedPhaseResultsProcessors();
    }

    @Override
    public List<QueryCollectorContextSpecFactory> getCollectorContextSpecFactories() {
        return hybrid.collectors();
    }

    @Override
    public List<ActionFilter> getActionFilters() {
        List<ActionFilter> filters = new ArrayList<>(List.of(new IndexFilterCheck()));
        filters.addAll(neural.actionFilters());
        filters.addAll(hybrid.actionFilters());
        filters.addAll(answers.actionFilters());
        return filters;
    }

    @Override
    public void onIndexModule(IndexModule index) {
        index.addSearchOperationListener(answers.searchListener());
    }

    @Override
    public void close() throws IOException {
        neural.close();
    }
}
