package org.mmsearch.hybrid.pipeline;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchResponseProcessor;

/** OpenSearch's response processor for {@code explain}, accepted for compatibility. It does nothing, because hybrids explain themselves. */
public final class ExplanationProcessor extends AbstractProcessor implements SearchResponseProcessor {

    /** The processor's type. */
    public static final String TYPE = "hybrid_score_explanation";

    private ExplanationProcessor(String tag, String description, boolean ignoreFailure) {
        super(tag, description, ignoreFailure);
    }

    /** Returns the factory. */
    public static Processor.Factory<SearchResponseProcessor> factory() {
        return (factories, tag, description, ignoreFailure, config, context) -> new ExplanationProcessor(tag, description, ignoreFailure);
    }

    @Override
    public SearchResponse processResponse(SearchRequest request, SearchResponse response) {
        return response;
    }

    @Override
    public String getType() {
        return TYPE;
    }
}
