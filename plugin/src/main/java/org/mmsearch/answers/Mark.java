package org.mmsearch.answers;

import org.opensearch.search.fetch.subphase.FetchSourceContext;

/**
 * A placeholder for {@code _source} in requests that do not specify it. Each shard replaces it by excludes for the vectors of its index.
 * It is an exclude that matches no field, so nodes without mmsearch return the complete source.
 */
final class Mark {

    private static final String EXCLUDE = "_mmsearch:vectors";

    private Mark() {}

    /** Returns a new mark. */
    static FetchSourceContext source() {
        return new FetchSourceContext(true, null, new String[] { EXCLUDE });
    }

    /** Returns whether the {@code _source} of a search, which may be null, is a mark. */
    static boolean is(FetchSourceContext source) {
        return source != null && source.fetchSource() && source.excludes().length == 1 && EXCLUDE.equals(source.excludes()[0]);
    }
}
