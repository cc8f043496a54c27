package org.mmsearch.neural.vectors;

import org.opensearch.ExceptionsHelper;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.core.tasks.TaskCancelledException;

/** Failures of a clause, which begin with its name. */
final class Failures {

    private Failures() {}

    static TaskCancelledException cancelled(String clause) {
        return new TaskCancelledException("[" + clause + "] the search was cancelled while its query was encoded");
    }

    /** The same failure, its status kept, its message after the clause's name. */
    static OpenSearchStatusException prefixed(String clause, Exception failure) {
        return new OpenSearchStatusException(
            "{}",
            ExceptionsHelper.status(failure),
            failure,
            "[" + clause + "] " + failure.getMessage()
        );
    }
}
