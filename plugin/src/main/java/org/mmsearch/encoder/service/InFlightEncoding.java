package org.mmsearch.encoder.service;

import java.util.ArrayList;
import java.util.List;

import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.triton.TritonClient;

/** One encoding under way or queued, and all the requests that wait for it. */
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

    /** @return false when the encoding is completed or abandoned and the request needs another one */
    synchronized boolean add(EncodingRequest request) {
        if (completed) {
            return false;
        }
        requests.add(request);
        return true;
    }

    /** Keeps the call, so that it can be aborted; does so at once when no request waits any more. */
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

    /** @param late whether the request was withdrawn because its deadline passed */
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
        // A call ends in one of two ways, by its answer or by an abort that came first: either frees its place.
        if (abort != null && abort.abort(timedOut)) {
            encoder.finished();
        }
    }

    /** Ends the encoding; returns the requests that still wait, to be completed by the caller. */
    synchronized List<EncodingRequest> complete() {
        completed = true;
        List<EncodingRequest> waiting = List.copyOf(requests);
        requests.clear();
        return waiting;
    }
}
