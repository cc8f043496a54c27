package org.mmsearch.neural.vectors;

import org.opensearch.index.query.QueryCoordinatorContext;

/** Notes in the answer of a search that a clause of it goes on without something. */
@FunctionalInterface
public interface Degraded {

    /**
     * @param rewrite of the search
     * @param name of the clause
     * @param reason what it lacks, and why
     */
    void note(QueryCoordinatorContext rewrite, String name, String reason);
}
