package org.mmsearch.neural.vectors;

import org.opensearch.ExceptionsHelper;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.core.tasks.TaskCancelledException;

/** Failures of a clause. Their messages begin with its name. */
final class Failures {

    private Failures() {}

    static TaskCancelledException cancelled(String clause) {
        return new TaskCancelledException("[" + clause + "] the search was cancelled while its query was encoded");
    }

    /** Returns the failure with its status and the clause's name before its message. */
    static OpenSearchStatusException prefixed(String clause, Exception failure) {
        return new OpenSearchStatusException(
            "{}",
            ExceptionsHelper.status(failure),
            failure,
            "[" + clause + "] " + failure.getMessage()
        );
    }
}
