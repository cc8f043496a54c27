package org.mmsearch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.function.Supplier;

import org.mmsearch.neural.NeuralFeature;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.lifecycle.LifecycleComponent;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.env.Environment;
import org.opensearch.env.NodeEnvironment;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.repositories.RepositoriesService;
import org.opensearch.script.ScriptService;
import org.opensearch.threadpool.ExecutorBuilder;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;
import org.opensearch.watcher.ResourceWatcherService;

/** Registers what mmsearch adds to a node, and does nothing else. */
public final class MmsearchPlugin extends Plugin implements SearchPlugin, ActionPlugin {

    private final ClauseNames names;
    private final NeuralFeature neural;

    /**
     * @param settings the node's settings
     * @param configPath the node's config folder, or null in a unit test
     */
    public MmsearchPlugin(Settings settings, Path configPath) {
        names = ClauseNames.of(settings);
        neural = new NeuralFeature(names.neural());
    }

    /** The names under which this node knows the clauses. */
    ClauseNames names() {
        return names;
    }

    @Override
    public List<QuerySpec<?>> getQueries() {
        return new ArrayList<>(neural.queries());
    }

    @Override
    public List<Setting<?>> getSettings() {
        return new ArrayList<>(neural.settings());
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
        return new ArrayList<>(neural.components(clusterService, threadPool, environment, indexNameExpressionResolver));
    }

    @Override
    public Collection<Class<? extends LifecycleComponent>> getGuiceServiceClasses() {
        return neural.services();
    }

    @Override
    public List<ActionFilter> getActionFilters() {
        return new ArrayList<>(neural.actionFilters());
    }

    @Override
    public void close() throws IOException {
        neural.close();
    }
}
