package org.mmsearch.answers;

import org.opensearch.search.fetch.subphase.FetchSourceContext;

/**
 * Stands where a request says nothing of {@code _source}: each index then leaves its own vectors out. It is an exclude that no
 * field has for a name, so that a node which does not know it leaves nothing out.
 */
final class Mark {

    private static final String EXCLUDE = "_mmsearch:vectors";

    private Mark() {}

    /** A new one. */
    static FetchSourceContext source() {
        return new FetchSourceContext(true, null, new String[] { EXCLUDE });
    }

    /** @param source of a search, or null */
    static boolean is(FetchSourceContext source) {
        return source != null && source.fetchSource() && source.excludes().length == 1 && EXCLUDE.equals(source.excludes()[0]);
    }
}
