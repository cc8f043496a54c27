package org.mmsearch.visibility;

import java.util.LinkedHashMap;
import java.util.Map;

import org.apache.lucene.search.Query;

/** The rules of the searches that one reader serves: the first phase of a search shows them, the later ones need them. */
final class KeptRules {

    /** More searches than are between their phases at once on one shard of a point in time. */
    private static final int MOST = 1000;

    private final Map<String, Query> rules = new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Query> eldest) {
            return size() > MOST;
        }
    };

    /**
     * @param search by which a search is known in all its phases
     * @param shown what this phase shows, or null
     * @return what this phase or an earlier one has shown, or null
     */
    synchronized Query keep(String search, Query shown) {
        if (shown == null) {
            return rules.get(search);
        }
        rules.put(search, shown);
        return shown;
    }
}
