package org.mmsearch;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.search.builder.SearchSourceBuilder;

/** Applies the search pipeline named in a search body. The REST layer does so for plain searches, but not for search templates. */
public final class BodyPipeline {

    private BodyPipeline() {}

    /**
     * Copies the pipeline name from the search body into the request. Does nothing if the request already names a pipeline or if the
     * search contains none of mmsearch's clauses.
     *
     * @param hybrid whether the search contains a hybrid, or a query that may be rewritten into one
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
