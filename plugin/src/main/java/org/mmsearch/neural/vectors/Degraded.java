package org.mmsearch.neural.vectors;

import org.opensearch.index.query.QueryCoordinatorContext;

/** Reports in the response of a search that a part of a clause is missing. */
@FunctionalInterface
public interface Degraded {

    /**
     * Adds a report.
     *
     * @param rewrite the rewrite context of the search
     * @param name the name of the clause
     * @param reason the missing part and the cause
     */
    void note(QueryCoordinatorContext rewrite, String name, String reason);
}
