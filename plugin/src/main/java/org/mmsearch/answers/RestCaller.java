package org.mmsearch.answers;

import java.lang.StackWalker.StackFrame;
import java.util.Iterator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Detects whether the current request comes directly from the REST handlers of {@code _search}, {@code _msearch} or their templates.
 *
 * <p>A search request does not record its origin, and all nested requests inherit the thread context of the REST request. However, a REST
 * handler executes its action synchronously, so it is on the call stack, below exactly as many actions as it starts itself. If a plugin
 * in between switches threads or sends its own request, the result is false and the response stays complete.
 */
final class RestCaller {

    private static final String CLIENT = "org.opensearch.transport.client.node.NodeClient";
    private static final String EXECUTE = "executeLocally";
    /** Number of actions on the stack above each handler. It is 2 for templates, whose action starts the search action. */
    private static final Map<String, Integer> HANDLERS = Map.of(
        "org.opensearch.rest.action.search.RestSearchAction",
        1,
        "org.opensearch.rest.action.search.RestMultiSearchAction",
        1,
        "org.opensearch.script.mustache.RestSearchTemplateAction",
        2,
        "org.opensearch.script.mustache.RestMultiSearchTemplateAction",
        2
    );
    private static final StackWalker WALKER = StackWalker.getInstance();

    private RestCaller() {}

    /** Returns whether the request comes from one of the handlers. Must be called from an action filter on its own thread. */
    static boolean isSearch() {
        return WALKER.walk(RestCaller::isSearch);
    }

    private static boolean isSearch(Stream<StackFrame> frames) {
        int executed = 0;
        for (Iterator<StackFrame> all = frames.iterator(); all.hasNext() && executed <= 2;) {
            StackFrame frame = all.next();
            if (frame.getClassName().equals(CLIENT)) {
                executed += frame.getMethodName().equals(EXECUTE) ? 1 : 0;
            } else if (executed > 0) {
                Integer expected = HANDLERS.get(frame.getClassName());
                if (expected != null) {
                    return expected == executed;
                }
            }
        }
        return false;
    }
}
