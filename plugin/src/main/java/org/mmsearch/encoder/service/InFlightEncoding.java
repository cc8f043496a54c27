package org.mmsearch.encoder.service;

import java.util.ArrayList;
import java.util.List;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.triton.TritonClient;

/** A running or queued encoding with all requests that wait for it. */
final class InFlightEncoding {

    final EncodeKey key;
    final EncoderModel model;
    final EncoderInput input;
    final long createdNanos;
    private final Encoder encoder;
    private final List<EncodingRequest> requests = new ArrayList<>(2);
    private TritonClient.Call call;
    private boolean completed;
    private boolean abandoned;
    private boolean timedOut;

    InFlightEncoding(Encoder encoder, EncodeKey key, EncoderModel model, EncoderInput input) {
        this.encoder = encoder;
        this.key = key;
        this.model = model;
        this.input = input;
        this.createdNanos = System.nanoTime();
    }

    /** Adds a request. Returns false if the encoding is completed or abandoned, so the request needs another one. */
    synchronized boolean add(EncodingRequest request) {
        if (completed) {
            return false;
        }
        requests.add(request);
        return true;
    }

    /** Sets the call. Aborts it at once if no request waits any more. */
    void started(TritonClient.Call call) {
        boolean abort;
        synchronized (this) {
            this.call = call;
            abort = abandoned;
        }
        if (abort && call.abort(timedOut)) {
            encoder.finished();
        }
    }

    /**
     * Removes a request. Aborts the call if it was the last one.
     *
     * @param late whether the request's deadline has passed
     */
    void remove(EncodingRequest request, boolean late) {
        TritonClient.Call abort;
        synchronized (this) {
            requests.remove(request);
            if (completed || requests.isEmpty() == false) {
                return;
            }
            completed = true;
            abandoned = true;
            timedOut = late && encoder.hadAllTime(this);
            abort = call;
        }
        encoder.abandoned(this);
        // A call ends either by its response or by an abort before it; both free its slot.
        if (abort != null && abort.abort(timedOut)) {
            encoder.finished();
        }
    }

    /** Completes the encoding and returns the waiting requests. The caller completes them. */
    synchronized List<EncodingRequest> complete() {
        completed = true;
        List<EncodingRequest> waiting = List.copyOf(requests);
        requests.clear();
        return waiting;
    }
}
