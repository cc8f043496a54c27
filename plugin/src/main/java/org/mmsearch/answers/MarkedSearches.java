package org.mmsearch.answers;

import java.util.List;

import org.opensearch.common.regex.Regex;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.search.internal.SearchContext;

/**
 * Replaces the mark by excludes for this shard's vectors before the fetch phase. k-NN then does not read the vectors only to have them
 * excluded.
 */
final class MarkedSearches implements SearchOperationListener {

    @Override
    public void onPreFetchPhase(SearchContext search) {
        if (Mark.is(search.fetchSourceContext()) == false) {
            return;
        }
        List<String> vectors = NamedVectors.leftOut(search.mapperService());
        if (vectors.isEmpty()) {
            // The default: the request did not specify _source.
            search.fetchSourceContext(null);
        } else if (othersRead(search, vectors) == false) {
            search.fetchSourceContext(new FetchSourceContext(true, null, vectors.toArray(String[]::new)));
        }
    }

    /** Returns whether other parts of the hit may read vectors from its source. {@link MarkedSources} then excludes them afterwards. */
    private static boolean othersRead(SearchContext search, List<String> vectors) {
        return search.innerHits().getInnerHits().isEmpty() == false
            || search.hasScriptFields()
            || search.fetchFieldsContext() != null
                && search.fetchFieldsContext()
                    .fields()
                    .stream()
                    .anyMatch(asked -> vectors.stream().anyMatch(vector -> Regex.simpleMatch(asked.field, vector)));
    }
}
