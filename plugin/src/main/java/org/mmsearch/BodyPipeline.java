package org.mmsearch;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.search.builder.SearchSourceBuilder;

/** The search pipeline that a search's body names. REST moves it into the request; a search template, for one, does not. */
public final class BodyPipeline {

    private BodyPipeline() {}

    /** Moves the name from the body into the request, where that names none. */
    public static void use(SearchRequest request) {
        if (missing(request)) {
            request.pipeline(request.source().pipeline());
        }
    }

    /** As {@link #use}, where one of mmsearch's clauses stands in the query; other searches are left as they are. */
    public static void useForOurs(SearchRequest request) {
        if (missing(request) && (OurClauses.in(request.source().query()) || OurClauses.in(request.source().postFilter()))) {
            use(request);
        }
    }

    private static boolean missing(SearchRequest request) {
        SearchSourceBuilder source = request.source();
        return request.pipeline() == null && source != null && source.pipeline() != null;
    }
}
