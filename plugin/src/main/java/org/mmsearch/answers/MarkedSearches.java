package org.mmsearch.answers;

import java.util.List;

import org.opensearch.common.regex.Regex;
import org.opensearch.index.shard.SearchOperationListener;
import org.opensearch.search.fetch.subphase.FetchSourceContext;
import org.opensearch.search.internal.SearchContext;

/**
 * Puts in a mark's place what it means on this shard, before the hits are read, so that k-NN need not read the vectors back into
 * sources that leave them out.
 */
final class MarkedSearches implements SearchOperationListener {

    @Override
    public void onPreFetchPhase(SearchContext search) {
        if (Mark.is(search.fetchSourceContext()) == false) {
            return;
        }
        List<String> vectors = NamedVectors.leftOut(search.mapperService());
        if (vectors.isEmpty()) {
            // As if nothing had been said.
            search.fetchSourceContext(null);
        } else if (othersRead(search, vectors) == false) {
            search.fetchSourceContext(new FetchSourceContext(true, null, vectors.toArray(String[]::new)));
        }
    }

    /** Whether something else is filled from the hit's source and may want the vectors: then they are cut out of it afterwards. */
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
