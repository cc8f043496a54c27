package org.mmsearch.neural;

import java.io.Closeable;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.service.EncoderService;
import org.mmsearch.memory.MemoryBreaker;
import org.mmsearch.neural.fields.FieldEncoders;
import org.mmsearch.neural.images.ImageLimits;
import org.mmsearch.neural.vectors.CancellationListener;
import org.mmsearch.neural.vectors.Degraded;
import org.mmsearch.neural.vectors.IndexedVectorExt;
import org.mmsearch.neural.vectors.IndexedVectorPhase;
import org.mmsearch.neural.vectors.NeuralServices;
import org.mmsearch.neural.vectors.RequestContext;
import org.mmsearch.stats.EncoderNumbers;
import org.mmsearch.stats.EncoderStats;
import org.mmsearch.visibility.VectorQueries;
import org.opensearch.action.support.ActionFilter;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.lifecycle.LifecycleComponent;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.plugins.SearchPlugin.QuerySpec;
import org.opensearch.plugins.SearchPlugin.SearchExtSpec;
import org.opensearch.search.fetch.FetchSubPhase;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchRequestProcessor;
import org.opensearch.threadpool.ExecutorBuilder;
import org.opensearch.threadpool.ThreadPool;

/**
 * Everything that the plugin class registers for the {@code neural} clause: {@link #queries}, {@link #settings}, {@link #executors}, {@link
 * #components}, {@link #actionFilters} (called after the components), {@link #services} and {@link #numbers}.
 */
public final class NeuralFeature implements Closeable {

    private final NeuralClause clause;
    private final MemoryBreaker memory;
    private final EncoderStats stats = new EncoderStats();
    private EncoderService encoders;
    private RequestContext context;

    /**
     * @param name the clause's name on this node
     * @param memory the circuit breaker for the heap of images
     */
    public NeuralFeature(String name, MemoryBreaker memory) {
        this.memory = memory;
        clause = new NeuralClause(name);
    }

    /** Returns the clause. */
    public List<QuerySpec<?>> queries() {
        return List.of(clause.spec());
    }

    /** Returns the search section that requests indexed vectors, for documents without the vector in {@code _source}. */
    public List<SearchExtSpec<?>> searchExts() {
        return List.of(new SearchExtSpec<>(IndexedVectorExt.NAME, IndexedVectorExt::new, IndexedVectorExt::parse));
    }

    /** Returns the fetch sub-phase that adds these vectors to hits. */
    public List<FetchSubPhase> fetchSubPhases() {
        return List.of(new IndexedVectorPhase());
    }

    /** Returns the settings of the encoder and of images. */
    public List<Setting<?>> settings() {
        List<Setting<?>> all = new ArrayList<>(EncoderSettings.all());
        all.addAll(ImageLimits.all());
        return all;
    }

    /** Returns the thread pool on which searches continue when their vectors are available. */
    public List<ExecutorBuilder<?>> executors(Settings settings) {
        return List.of(EncoderService.executor(settings));
    }

    /** Opens the encoder and sets the clause's services. */
    public Collection<Object> components(
        ClusterService cluster,
        ThreadPool threads,
        Environment environment,
        IndexNameExpressionResolver resolver,
        VectorQueries vectors,
        Degraded degraded
    ) {
        context = new RequestContext(threads.getThreadContext(), () -> cluster.localNode().getId());
        encoders = new EncoderService(
            environment.settings(),
            cluster.getClusterSettings(),
            environment.configDir(),
            threads,
            stats
        );
        clause.open(
            new NeuralServices(
                encoders.encoder(),
                new FieldEncoders(cluster::state, resolver),
                new ImageLimits(environment.settings(), cluster.getClusterSettings()),
                context,
                vectors,
                threads.executor(EncoderService.POOL),
                memory,
                degraded
            )
        );
        return List.of(context);
    }

    /** Returns the search-pipeline processors, registered if no other plugin uses their names. */
    public Map<String, Processor.Factory<SearchRequestProcessor>> requestProcessors() {
        return Map.of(NeuralQueryEnricher.TYPE, NeuralQueryEnricher.factory());
    }

    /** Returns the action filter that connects a rewrite with its task. */
    public List<ActionFilter> actionFilters() {
        return List.of(context);
    }

    /** Returns the services that the injector starts. */
    public Collection<Class<? extends LifecycleComponent>> services() {
        return List.of(CancellationListener.class);
    }

    /** Returns the encoder's part of the statistics. */
    public Map<String, Object> numbers() {
        return EncoderNumbers.asMap(stats, encoders.encoder().state());
    }

    @Override
    public void close() {
        if (encoders != null) {
            encoders.close();
        }
    }
}
