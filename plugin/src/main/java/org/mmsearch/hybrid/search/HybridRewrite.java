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
 * Chooses how a search's hybrids are answered, once its pipeline has made the request what it is. Where a round of legs goes before the
 * search, the request is rewritten here, since the engine's own rewrite comes too late to run the search in that round's readers.
 */
public final class HybridRewrite extends AbstractProcessor implements SearchRequestProcessor, SystemGeneratedProcessor {

    /** The factory's name. */
    public static final String TYPE = "mmsearch_hybrid_rewrite";

    private static final String NOTES = "mmsearch.search_notes";
    /** The section of a request for which k-NN generates a processor of its own at the later stage, where there may be but one. */
    private static final String MMR = "mmr";

    /**
     * What rewriting needs.
     *
     * @param client of the node
     * @param xContent parses inner queries
     * @param writeables reads inner queries
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
     * @param ways chooses the way of a request
     * @param notes those of the search that this thread works for
     * @param services known once the node has started
     */
    public static Map<String, SystemGeneratedFactory<SearchRequestProcessor>> factory(
        Function<SearchRequest, Way> ways,
        Supplier<SearchNotes> notes,
        Supplier<Services> services
    ) {
        return Map.of(TYPE, new SystemGeneratedFactory<>() {
            @Override
            public boolean shouldGenerate(ProcessorGenerationContext context) {
                // Chosen a moment ago, for this request as it came.
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

    /** Whether k-NN makes a request's hits more diverse. */
    static boolean isDiversified(SearchRequest request) {
        return request.source() != null && request.source().ext().stream().anyMatch(ext -> ext.getWriteableName().equals(MMR));
    }

    /** The notes of the search that a processing context belongs to, or null. */
    static SearchNotes notes(PipelineProcessingContext request) {
        return request.getAttribute(NOTES) instanceof SearchNotes notes ? notes : null;
    }

    /** The notes of the search that a rewrite belongs to, whatever thread it has gone on in; null where the search has none. */
    static SearchNotes notes(QueryCoordinatorContext context) {
        return context.getContextVariables().get(NOTES) instanceof SearchNotes notes ? notes : null;
    }

    @Override
    public SearchRequest processRequest(SearchRequest request) {
        throw new UnsupportedOperationException("[" + TYPE + "] works asynchronously only");
    }

    @Override
    public void processRequestAsync(SearchRequest request, PipelineProcessingContext context, ActionListener<SearchRequest> listener) {
        context.setAttribute(NOTES, notes);
        notes.way(ways.apply(request));
        if (notes.way() == Way.ONE_SEARCH) {
            // A partial reduction would take the windows of legs for hits.
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
                // The readers end with this search: an answer out of them is worth no place in the request cache.
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
