package org.mmsearch;

import java.io.IOException;

import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;

/**
 * The number of its form, with which all that goes from node to node under a name of ours begins; the parts inside go by it too. While a
 * cluster is upgraded, nodes of one OpenSearch have two plugins: the stream's own version does not tell these apart, and a form that is
 * read as another gives wrong answers rather than an error.
 */
public final class WireForm {

    /** The form of everything so far. */
    public static final int FIRST = 1;

    private WireForm() {}

    /** Begins a form. */
    public static void begin(StreamOutput out, int form) throws IOException {
        out.writeVInt(form);
    }

    /**
     * Reads the beginning of a form.
     *
     * @param name what is read, for the message
     * @param newest the newest form that the caller reads
     * @return the form, from {@link #FIRST} to the newest
     * @throws IOException where it is another one
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
