package org.mmsearch.hybrid.search;

import java.util.Map;
import java.util.function.Function;
import java.util.function.Supplier;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.ContextPreservingActionListener;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.index.query.BaseQueryRewriteContext;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.Rewriteable;
import org.opensearch.search.builder.PointInTimeBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.PipelineProcessingContext;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.ProcessorGenerationContext;
import org.opensearch.search.pipeline.SearchRequestProcessor;
import org.opensearch.search.pipeline.SystemGeneratedProcessor;
import org.opensearch.transport.client.Client;

/**
 * Selects how a search's hybrids are executed, after the search pipeline has processed the request. With a round of legs before the search,
 * it also rewrites the request, because OpenSearch's own rewrite is too late to set the readers of that round.
 */
public final class HybridRewrite extends AbstractProcessor implements SearchRequestProcessor, SystemGeneratedProcessor {

    /** The name of the factory. */
    public static final String TYPE = "mmsearch_hybrid_rewrite";

    private static final String NOTES = "mmsearch.search_notes";
    /**
     * The request section of k-NN's maximal marginal relevance. k-NN adds a processor for it at the later stage, where OpenSearch allows
     * only one.
     */
    private static final String MMR = "mmr";

    /**
     * The services for rewriting.
     *
     * @param client the node's client
     * @param xContent parses inner queries
     * @param writeables reads inner queries from streams
     */
    public record Services(Client client, NamedXContentRegistry xContent, NamedWriteableRegistry writeables) {}

    private final Services services;
    private final SearchNotes notes;
    private final Function<SearchRequest, Way> ways;
    private final ExecutionStage stage;

    private HybridRewrite(
        Services services,
        SearchNotes notes,
        Function<SearchRequest, Way> ways,
        ExecutionStage stage,
        String tag,
        String description,
        boolean ignoreFailure
    ) {
        super(tag, description, ignoreFailure);
        this.services = services;
        this.notes = notes;
        this.ways = ways;
        this.stage = stage;
    }

    /**
     * Returns the factory.
     *
     * @param ways selects the way of a request
     * @param notes the notes of the current thread's search
     * @param services the services, available once the node has started
     */
    public static Map<String, SystemGeneratedFactory<SearchRequestProcessor>> factory(
        Function<SearchRequest, Way> ways,
        Supplier<SearchNotes> notes,
        Supplier<Services> services
    ) {
        return Map.of(TYPE, new SystemGeneratedFactory<>() {
            @Override
            public boolean shouldGenerate(ProcessorGenerationContext context) {
                // The action filter has selected the way for the request before the pipeline.
                return notes.get() != null && notes.get().way() != Way.NONE;
            }

            @Override
            public SearchRequestProcessor create(
                Map<String, Processor.Factory<SearchRequestProcessor>> factories,
                String tag,
                String description,
                boolean ignoreFailure,
                Map<String, Object> config,
                Processor.PipelineContext context
            ) {
                SearchRequest request = (SearchRequest) config.get("search_request");
                ExecutionStage stage = request != null && isDiversified(request) ? ExecutionStage.PRE_USER_DEFINED : ExecutionStage.POST_USER_DEFINED;
                return new HybridRewrite(services.get(), notes.get(), ways, stage, tag, description, ignoreFailure);
            }
        });
    }

    /** Returns whether the request uses k-NN's maximal marginal relevance. */
    static boolean isDiversified(SearchRequest request) {
        return request.source() != null && request.source().ext().stream().anyMatch(ext -> ext.getWriteableName().equals(MMR));
    }

    /** Returns the notes of the search of a processing context, or null. */
    static SearchNotes notes(PipelineProcessingContext request) {
        return request.getAttribute(NOTES) instanceof SearchNotes notes ? notes : null;
    }

    /** Returns the notes of the search of a rewrite, in any thread; null if it has none. */
    static SearchNotes notes(QueryCoordinatorContext context) {
        return context.getContextVariables().get(NOTES) instanceof SearchNotes notes ? notes : null;
    }

    @Override
    public SearchRequest processRequest(SearchRequest request) {
        throw new UnsupportedOperationException("[" + TYPE + "] supports asynchronous calls only");
    }

    @Override
    public void processRequestAsync(SearchRequest request, PipelineProcessingContext context, ActionListener<SearchRequest> listener) {
        context.setAttribute(NOTES, notes);
        notes.way(ways.apply(request));
        if (notes.way() == Way.ONE_SEARCH) {
            // A partial reduce would merge the windows as if they were hits.
            request.setBatchedReduceSize(Integer.MAX_VALUE);
        }
        if (notes.way() != Way.TWO_ROUNDS) {
            listener.onResponse(request);
            return;
        }
        BaseQueryRewriteContext rewrite = new BaseQueryRewriteContext(
            services.xContent,
            services.writeables,
            services.client,
            System::currentTimeMillis
        );
        ActionListener<SearchSourceBuilder> rewritten = ActionListener.wrap(source -> {
            if (notes.readers().id() != null) {
                notes.ownPointInTime();
                source.pointInTimeBuilder(new PointInTimeBuilder(notes.readers().id()));
                // The readers are released after this search, so its result is useless in the request cache.
                request.requestCache(false);
            }
            request.source(source);
            listener.onResponse(request);
        }, listener::onFailure);
        Rewriteable.rewriteAndFetch(
            request.source(),
            new QueryCoordinatorContext(rewrite, request),
            ContextPreservingActionListener.wrapPreservingContext(rewritten, services.client.threadPool().getThreadContext())
        );
    }

    @Override
    public String getType() {
        return TYPE;
    }

    @Override
    public ExecutionStage getExecutionStage() {
        return stage;
    }
}
