package org.mmsearch.encoder.http;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.SelectionKey;
import java.nio.channels.SocketChannel;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.function.BiConsumer;

/**
 * One connection of {@link PlainHttp}, with at most one call on it. A call is written by the thread that makes it, as far as
 * the socket takes it at once; all else happens on the selector's thread.
 */
final class HttpConnection {

    // A larger piece would make the JDK keep a direct buffer of its size for each thread that writes.
    private static final int PIECE = 64 << 10;

    final HttpTarget target;
    private final SocketChannel channel;
    private final SelectionKey key;
    private final PlainHttp http;
    private HttpCall call;
    private Queue<ByteBuffer> outgoing = new ArrayDeque<>();
    private HttpReplyParser parser;
    private boolean closed;
    private volatile long idleSince;

    /** @param call what goes over it first, once it is connected */
    HttpConnection(PlainHttp http, HttpCall call, SocketChannel channel, SelectionKey key) {
        this.http = http;
        this.target = call.target;
        this.call = call;
        this.channel = channel;
        this.key = key;
    }

    /** Nanoseconds of {@link System#nanoTime} since when no call has been on it. */
    long idleSince() {
        return idleSince;
    }

    /** Puts a call on an idle connection; false when it has been closed meanwhile. */
    boolean start(HttpCall next) {
        synchronized (this) {
            if (closed) {
                return false;
            }
            call = next;
            parser = new HttpReplyParser();
            outgoing = new ArrayDeque<>(next.bytes());
        }
        if (next.assign(this) == false) {
            close(null);
            return true;
        }
        try {
            write();
        } catch (IOException | CancelledKeyException e) {
            close(e);
        }
        return true;
    }

    /** The connection is made: its first call goes over it. */
    void connected() {
        HttpCall first;
        synchronized (this) {
            first = call;
        }
        if (first != null) {
            start(first);
        }
    }

    /** Goes on writing what the socket has not taken yet. */
    synchronized void write() throws IOException {
        while (closed == false && outgoing.isEmpty() == false) {
            ByteBuffer part = outgoing.peek();
            int end = part.limit();
            part.limit(Math.min(end, part.position() + PIECE));
            int written = channel.write(part);
            part.limit(end);
            if (written == 0) {
                want(SelectionKey.OP_READ | SelectionKey.OP_WRITE);
                return;
            }
            if (part.hasRemaining() == false) {
                outgoing.remove();
            }
        }
        if (closed == false) {
            want(SelectionKey.OP_READ);
        }
    }

    private void want(int operations) {
        if (key.interestOps() != operations) {
            key.interestOps(operations);
            http.wakeUp();
        }
    }

    /** Reads what has come. */
    void read(ByteBuffer buffer) throws IOException {
        buffer.clear();
        int size = channel.read(buffer);
        buffer.flip();
        HttpReplyParser reads;
        HttpCall answered;
        boolean reusable;
        synchronized (this) {
            reads = parser;
            answered = call;
            if (reads == null) {
                // Idle: its server hangs up, or says something that nobody asked for.
                answered = null;
            } else if (size < 0) {
                reads.end();
            } else if (reads.feed(buffer) == false) {
                return;
            }
            reusable = reads != null && reads.keepAlive() && size >= 0 && outgoing.isEmpty() && buffer.hasRemaining() == false;
            parser = null;
            call = null;
        }
        BiConsumer<HttpReply, Throwable> listener = answered == null ? null : answered.claim();
        if (listener != null && reusable) {
            idleSince = System.nanoTime();
            http.idle(this);
        } else {
            close(null);
        }
        if (listener != null) {
            listener.accept(reads.reply(), null);
        }
    }

    /** Closes the connection where no call is on it. */
    void closeIdle() {
        synchronized (this) {
            if (call != null) {
                return;
            }
            closed = true;
        }
        http.closed(this, channel);
    }

    /** @param why the failure of the call on it, if there is one */
    void close(Throwable why) {
        HttpCall ended;
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            ended = call;
            call = null;
        }
        http.closed(this, channel);
        if (ended != null) {
            ended.fail(why);
        }
    }
}
