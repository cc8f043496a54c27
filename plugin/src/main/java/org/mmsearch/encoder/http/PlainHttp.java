package org.mmsearch.encoder.http;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.channels.CancelledKeyException;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * HTTP/1.1 without TLS on one selector's thread. The JDK's client hands each call through several threads, which costs more
 * than Triton's whole answer on a busy node; here a call on a connection that is open is written by the thread that makes
 * it, and its answer is read by the selector's.
 */
public final class PlainHttp implements Http {

    private static final Logger log = LogManager.getLogger(PlainHttp.class);

    // Shorter than servers and the boxes between keep a silent connection.
    private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(20);
    private static final long SWEEP_MILLIS = 5_000;

    private final long connectMillis;
    private final Timer timer;
    private final Executor resolver;
    private final Selector selector;
    private final Queue<Runnable> tasks = new ConcurrentLinkedQueue<>();
    private final Map<HttpTarget, Deque<HttpConnection>> idle = new ConcurrentHashMap<>();
    private volatile boolean closed;
    private volatile boolean ended;

    /**
     * @param connectMillis the longest that a connection may take to be made
     * @param resolver looks host names up, which may block
     * @param threads makes the selector's thread
     */
    public PlainHttp(long connectMillis, Timer timer, Executor resolver, ThreadFactory threads) throws IOException {
        this.connectMillis = connectMillis;
        this.timer = timer;
        this.resolver = resolver;
        this.selector = Selector.open();
        threads.newThread(this::run).start();
    }

    @Override
    public Exchange post(URI uri, Map<String, String> headers, byte[] body, BiConsumer<HttpReply, Throwable> done) {
        HttpCall call = new HttpCall(uri, headers, body, done);
        Deque<HttpConnection> open = idle.get(call.target);
        // The one used last first: those that are too many grow old and are closed.
        for (HttpConnection next = open == null ? null : open.pollFirst(); next != null; next = open.pollFirst()) {
            if (next.start(call)) {
                return call;
            }
        }
        try {
            resolver.execute(() -> {
                InetSocketAddress address = new InetSocketAddress(call.target.host(), call.target.port());
                onSelector(() -> connect(call, address));
            });
        } catch (RuntimeException e) {
            call.fail(e);
        }
        return call;
    }

    @Override
    public void close() {
        closed = true;
        selector.wakeup();
    }

    /** Connections that wait for a call. */
    int idleConnections() {
        return idle.values().stream().mapToInt(Deque::size).sum();
    }

    void wakeUp() {
        selector.wakeup();
    }

    void idle(HttpConnection connection) {
        idle.computeIfAbsent(connection.target, target -> new ConcurrentLinkedDeque<>()).addFirst(connection);
    }

    void closed(HttpConnection connection, SocketChannel channel) {
        Deque<HttpConnection> open = idle.get(connection.target);
        if (open != null) {
            open.remove(connection);
        }
        close(channel);
        // A channel that is registered lets its socket go in the next round of the selector.
        selector.wakeup();
    }

    private void onSelector(Runnable task) {
        tasks.add(task);
        selector.wakeup();
        if (ended) {
            runTasks();
        }
    }

    private void runTasks() {
        for (Runnable task = tasks.poll(); task != null; task = tasks.poll()) {
            try {
                task.run();
            } catch (RuntimeException e) {
                log.error("a step of a call to Triton failed", e);
            }
        }
    }

    /** On the selector's thread alone: under the node's agent, everyone on the stack would need the right to connect. */
    private void connect(HttpCall call, InetSocketAddress address) {
        if (closed) {
            call.fail(new IOException("the client is closed"));
        }
        if (call.over()) {
            return;
        }
        SocketChannel channel = null;
        try {
            channel = SocketChannel.open();
            channel.configureBlocking(false);
            channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
            SelectionKey key = channel.register(selector, 0);
            HttpConnection connection = new HttpConnection(this, call, channel, key);
            key.attach(connection);
            if (channel.connect(address)) {
                key.interestOps(SelectionKey.OP_READ);
                connection.connected();
            } else {
                key.interestOps(SelectionKey.OP_CONNECT);
                if (call.assign(connection) == false) {
                    connection.close(null);
                    return;
                }
                timer.schedule(connectMillis, () -> onSelector(() -> late(key, address)));
            }
        } catch (IOException | RuntimeException e) {
            close(channel);
            call.fail(e);
        }
    }

    private void late(SelectionKey key, InetSocketAddress address) {
        if (key.isValid() && (key.interestOps() & SelectionKey.OP_CONNECT) != 0) {
            ((HttpConnection) key.attachment()).close(
                new ConnectException("no connection to " + address + " within " + connectMillis + " ms")
            );
        }
    }

    private void run() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(64 << 10);
        long swept = System.nanoTime();
        while (closed == false) {
            try {
                selector.select(SWEEP_MILLIS);
            } catch (IOException e) {
                log.error("the selector of the calls to Triton failed, and is asked again", e);
            }
            for (Iterator<SelectionKey> keys = selector.selectedKeys().iterator(); keys.hasNext();) {
                ready(keys.next(), buffer);
                keys.remove();
            }
            runTasks();
            if (System.nanoTime() - swept > TimeUnit.MILLISECONDS.toNanos(SWEEP_MILLIS)) {
                swept = System.nanoTime();
                sweep(swept);
            }
        }
        end();
    }

    private void ready(SelectionKey key, ByteBuffer buffer) {
        HttpConnection connection = (HttpConnection) key.attachment();
        try {
            if (key.isConnectable()) {
                ((SocketChannel) key.channel()).finishConnect();
                key.interestOps(SelectionKey.OP_READ);
                connection.connected();
                return;
            }
            if (key.isWritable()) {
                connection.write();
            }
            if (key.isReadable()) {
                connection.read(buffer);
            }
        } catch (CancelledKeyException | IOException e) {
            connection.close(e);
        } catch (RuntimeException e) {
            log.error("an answer of Triton was not taken", e);
            connection.close(new IOException("the answer was not taken", e));
        }
    }

    private void sweep(long now) {
        for (Deque<HttpConnection> open : idle.values()) {
            for (HttpConnection connection : open) {
                if (now - connection.idleSince() > IDLE_NANOS) {
                    connection.closeIdle();
                }
            }
        }
    }

    private void end() {
        IOException why = new IOException("the client is closed");
        for (SelectionKey key : List.copyOf(selector.keys())) {
            if (key.attachment() instanceof HttpConnection connection) {
                connection.close(why);
            }
        }
        // Those that waited to connect are failed by their task.
        ended = true;
        runTasks();
        try {
            selector.close();
        } catch (IOException e) {
            log.warn("the selector of the calls to Triton was not closed", e);
        }
    }

    private static void close(SocketChannel channel) {
        if (channel == null) {
            return;
        }
        try {
            channel.close();
        } catch (IOException e) {
            log.debug("a connection to Triton was not closed in order", e);
        }
    }
}
