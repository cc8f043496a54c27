package org.mmsearch.hybrid.pipeline;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.search.pipeline.AbstractProcessor;
import org.opensearch.search.pipeline.Processor;
import org.opensearch.search.pipeline.SearchResponseProcessor;

/** The classic response processor that hybrids once needed for {@code explain}. They explain themselves now, so it changes nothing. */
public final class ExplanationProcessor extends AbstractProcessor implements SearchResponseProcessor {

    /** Its name. */
    public static final String TYPE = "hybrid_score_explanation";

    private ExplanationProcessor(String tag, String description, boolean ignoreFailure) {
        super(tag, description, ignoreFailure);
    }

    /** @return makes it */
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
