package org.mmsearch.visibility;

import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/**
 * The rules of document-level security that look terms up in another index. The security plugin does not put them into the query
 * of each shard: on the node that takes a request it puts the request's query into a bool beside them, says in a header that this
 * is done, and lets everything below the request pass, searches and gets of ours included.
 */
final class RequestRules {

    private static final String DONE = "_opendistro_security_filter_level_dls_done";

    private RequestRules() {}

    /**
     * @param request as a rewrite finds it
     * @return whether it runs under such rules
     */
    static boolean hold(ThreadContext context) {
        return context.getHeader(DONE) != null;
    }

    /**
     * @param request as a rewrite finds it
     * @return the rules as a filter; null where there are none, or the request is one of ours below, whose query has them already
     */
    static QueryBuilder of(IndicesRequest request, ThreadContext context) {
        if (hold(context) == false
            || !(request instanceof SearchRequest search)
            || search.source() == null
            || !(search.source().query() instanceof BoolQueryBuilder both)
            || both.should().isEmpty()
            || "1".equals(both.minimumShouldMatch()) == false
            || both.must().size() > 1) {
            return null;
        }
        BoolQueryBuilder rules = new BoolQueryBuilder().minimumShouldMatch(1);
        both.should().forEach(rules::should);
        return rules;
    }
}
