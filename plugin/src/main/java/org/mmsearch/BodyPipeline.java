package org.mmsearch;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.search.builder.SearchSourceBuilder;

/** The search pipeline that a search's body names. REST moves it into the request; a search template, for one, does not. */
public final class BodyPipeline {

    private BodyPipeline() {}

    /**
     * Moves the name from the body into the request, where that names none and one of mmsearch's clauses stands in the search; other
     * searches are left as they are.
     *
     * @param hybrid whether the search has a hybrid, or a query that may turn out to be one
     */
    public static void use(SearchRequest request, boolean hybrid) {
        SearchSourceBuilder source = request.source();
        if (request.pipeline() != null || source == null || source.pipeline() == null) {
            return;
        }
        if (hybrid || OurClauses.in(source.query()) || OurClauses.in(source.postFilter())) {
            request.pipeline(source.pipeline());
        }
    }
}
