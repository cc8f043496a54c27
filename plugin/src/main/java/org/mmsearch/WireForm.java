package org.mmsearch;

import java.io.IOException;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;

/**
 * The form (format version) of mmsearch's serialized objects. Each object starts with its form, which also applies to nested objects.
 * During a rolling upgrade of the plugin, nodes with the same OpenSearch version run two versions of mmsearch. The stream version does
 * not distinguish these, and reading one form as another would give wrong results instead of an error.
 */
public final class WireForm {

    /** The form of most objects; one that has gained something since declares its own. */
    public static final int FIRST = 1;

    private WireForm() {}

    /** Writes the form of an object. Must be called first. */
    public static void begin(StreamOutput out, int form) throws IOException {
        out.writeVInt(form);
    }

    /**
     * Reads the form of an object.
     *
     * @param name name of the object that is read, for the error message
     * @param newest the newest form that the caller supports
     * @return the form, from {@link #FIRST} to {@code newest}
     * @throws IOException if the form is not supported
     */
    public static int read(StreamInput in, String name, int newest) throws IOException {
        int form = in.readVInt();
        if (form < FIRST || form > newest) {
            throw new IOException(
                "expected [" + name + "] in a form from " + FIRST + " to " + newest + ", got " + form
                    + ": run one version of mmsearch on all nodes"
            );
        }
        return form;
    }
}
