package org.mmsearch.visibility;

import org.opensearch.action.IndicesRequest;
import org.opensearch.action.search.SearchRequest;
import org.opensearch.common.util.concurrent.ThreadContext;
import org.opensearch.index.query.BoolQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/**
 * Detects rules of document-level security that use a terms lookup. The security plugin does not add these on the shards. On the node
 * that receives the request, it wraps the query and the rules in a {@code bool} query and sets a header. It then applies no rules to
 * nested requests, including mmsearch's own searches and gets.
 */
final class RequestRules {

    private static final String DONE = "_opendistro_security_filter_level_dls_done";

    private RequestRules() {}

    /**
     * Returns whether the current request has such rules.
     *
     * @param context the thread context of the request
     */
    static boolean hold(ThreadContext context) {
        return context.getHeader(DONE) != null;
    }

    /**
     * Returns the rules of the current request.
     *
     * @param request the request that is being rewritten
     * @param context the thread context of the request
     * @return a filter; null if there are no rules, or if this is a nested request of mmsearch, whose query already contains them
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
