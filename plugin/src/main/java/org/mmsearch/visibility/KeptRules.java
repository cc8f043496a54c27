package org.mmsearch.visibility;

import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.lucene.search.Query;

/** Stores the security rules of the searches on one reader context, because only the first phase of a search contains them. */
final class KeptRules {

    /** Maximum number of entries: more than the number of concurrent searches of one point in time on one shard. */
    private static final int MOST = 1000;

    private final Map<String, Query> rules = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Query> eldest) {
            return size() > MOST;
        }
    };

    /**
     * Stores the rules of a search if this phase contains them, and returns the stored rules.
     *
     * @param search identifies the search in all of its phases
     * @param shown the rules that this phase contains, or null
     * @return the rules of this phase or else of an earlier one, or null
     */
    synchronized Query keep(String search, Query shown) {
        if (shown == null) {
            return rules.get(search);
        }
        rules.put(search, shown);
        return shown;
    }
}
