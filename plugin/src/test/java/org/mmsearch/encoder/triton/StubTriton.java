package org.mmsearch.encoder.triton;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;

import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.XContentType;

/**
 * A fake Triton server for tests. It implements HTTP/1.1 and the binary tensor extension on a loopback socket, computes vectors with a
 * function of the input, and simulates faults on request. It uses plain sockets, so that a connection can be closed after any byte.
 */
public final class StubTriton implements Closeable {

    /** A received request. */
    public record Asked(String path, Map<String, String> headers, Map<String, Object> header, String text, byte[] image) {}

    /** The response to a call. */
    public sealed interface Behaviour {
        /** Responds with a vector and the fingerprint, as Triton does. */
        record Answer(Function<Asked, float[]> vector) implements Behaviour {}

        /** Responds with a status and a body. */
        record Status(int code, String body) implements Behaviour {}

        /** Sends these bytes instead of an HTTP response. */
        record Raw(byte[] bytes) implements Behaviour {}

        /** Closes the connection without a response. */
        record Cut() implements Behaviour {}

        /** Responds after the latch opens. */
        record Held(CountDownLatch latch, Behaviour then) implements Behaviour {}
    }

    private final ServerSocket server;
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private final Set<Thread> threads = ConcurrentHashMap.newKeySet();
    private final AtomicInteger open = new AtomicInteger();
    private final Thread acceptor;
    private volatile boolean closed;
    /** All calls so far, in order of arrival. */
    public final List<Asked> calls = new CopyOnWriteArrayList<>();
    private volatile Function<Asked, Behaviour> behaviour;
    private volatile String fingerprint = "f1";

    /** Starts the server on a free loopback port. By default it responds with {@link #vectorOf} the text. */
    public StubTriton() throws IOException {
        this(0);
    }

    /** @param port the port to listen on, such as that of an earlier stub */
    public StubTriton(int port) throws IOException {
        this(new ServerSocket(port, 512, InetAddress.getLoopbackAddress()));
    }

    /** @param server a bound server socket, for example for TLS; it is closed with the stub */
    public StubTriton(ServerSocket server) {
        this.server = server;
        behave(new Behaviour.Answer(asked -> vectorOf(asked.text())));
        acceptor = Thread.ofPlatform().daemon().name("stub-triton").start(this::accept);
    }

    /** Returns the URL of the server, for the settings. */
    public String url() {
        return "http://127.0.0.1:" + server.getLocalPort();
    }

    /** Returns the port. */
    public int port() {
        return server.getLocalPort();
    }

    /** Sets the response to all further calls. */
    public void behave(Behaviour behaviour) {
        this.behaviour = asked -> behaviour;
    }

    /** Sets a function that returns the response to each further call. */
    public void behave(Function<Asked, Behaviour> behaviour) {
        this.behaviour = behaviour;
    }

    /** Sets the value of {@code FINGERPRINT}. */
    public void fingerprint(String fingerprint) {
        this.fingerprint = fingerprint;
    }

    /** Returns the number of open connections. */
    public int connections() {
        return open.get();
    }

    /** Returns a two-dimensional unit vector whose angle is a tenth of the text's length, in radians. */
    public static float[] vectorOf(String text) {
        double angle = text.length() / 10.0;
        return new float[] { (float) Math.cos(angle), (float) Math.sin(angle) };
    }

    @Override
    public void close() throws IOException {
        closed = true;
        server.close();
        // The kernel listens until the thread blocked in accept() has returned, so wait for that thread.
        try {
            acceptor.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        for (Socket socket : sockets) {
            socket.close();
        }
        threads.forEach(Thread::interrupt);
    }

    private void accept() {
        while (closed == false) {
            try {
                Socket socket = server.accept();
                if (closed) {
                    socket.close();
                    return;
                }
                socket.setTcpNoDelay(true);
                sockets.add(socket);
                Thread thread = Thread.ofPlatform().daemon().name("stub-triton-connection").unstarted(() -> serve(socket));
                threads.add(thread);
                thread.start();
            } catch (IOException e) {
                // The stub was closed.
                return;
            }
        }
    }

    private void serve(Socket socket) {
        open.incrementAndGet();
        try (socket) {
            InputStream in = socket.getInputStream();
            OutputStream out = socket.getOutputStream();
            Asked asked = read(in);
            while (asked != null) {
                calls.add(asked);
                if (answer(behaviour.apply(asked), asked, out) == false) {
                    return;
                }
                asked = read(in);
            }
        } catch (IOException e) {
            // The client may close the connection at any time.
            return;
        } finally {
            open.decrementAndGet();
            sockets.remove(socket);
            threads.remove(Thread.currentThread());
        }
    }

    private boolean answer(Behaviour how, Asked asked, OutputStream out) throws IOException {
        return switch (how) {
            case Behaviour.Answer answer -> ok(asked, answer.vector().apply(asked), out);
            case Behaviour.Status status -> {
                byte[] body = status.body().getBytes(StandardCharsets.UTF_8);
                write(out, "HTTP/1.1 " + status.code() + " x\r\nContent-Length: " + body.length + "\r\n\r\n", body);
                yield true;
            }
            case Behaviour.Raw raw -> {
                write(out, "", raw.bytes());
                yield false;
            }
            case Behaviour.Cut cut -> false;
            case Behaviour.Held held -> {
                try {
                    held.latch().await();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    yield false;
                }
                yield answer(held.then(), asked, out);
            }
        };
    }

    private boolean ok(Asked asked, float[] vector, OutputStream out) throws IOException {
        String output = (String) ((Map<?, ?>) ((List<?>) asked.header().get("outputs")).get(0)).get("name");
        byte[] body = reply(output, List.of(1, vector.length), vector, fingerprint);
        int header = headerLength(output, List.of(1, vector.length), vector, fingerprint);
        write(
            out,
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nInference-Header-Content-Length: " + header
                + "\r\nContent-Length: " + body.length + "\r\n\r\n",
            body
        );
        return true;
    }

    private static void write(OutputStream out, String head, byte[] body) throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.writeBytes(head.getBytes(StandardCharsets.ISO_8859_1));
        all.writeBytes(body);
        out.write(all.toByteArray());
        out.flush();
    }

    /** Returns a complete response body in Triton's format: header, vector, fingerprint. */
    static byte[] reply(String output, List<Integer> shape, float[] vector, String fingerprint) {
        byte[] head = header(output, shape, vector, fingerprint);
        byte[] print = fingerprint.getBytes(StandardCharsets.UTF_8);
        ByteBuffer body = ByteBuffer.allocate(head.length + 4 * vector.length + 4 + print.length).order(ByteOrder.LITTLE_ENDIAN);
        body.put(head);
        for (float x : vector) {
            body.putFloat(x);
        }
        return body.putInt(print.length).put(print).array();
    }

    static int headerLength(String output, List<Integer> shape, float[] vector, String fingerprint) {
        return header(output, shape, vector, fingerprint).length;
    }

    private static byte[] header(String output, List<Integer> shape, float[] vector, String fingerprint) {
        int print = 4 + fingerprint.getBytes(StandardCharsets.UTF_8).length;
        String json = "{\"model_name\":\"query_encoder\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"" + output
            + "\",\"datatype\":\"FP32\",\"shape\":" + shape + ",\"parameters\":{\"binary_data_size\":" + 4 * vector.length
            + "}},{\"name\":\"FINGERPRINT\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"parameters\":{\"binary_data_size\":" + print
            + "}}]}";
        return json.getBytes(StandardCharsets.UTF_8);
    }

    private static Asked read(InputStream in) throws IOException {
        String request = line(in);
        if (request == null) {
            return null;
        }
        Map<String, String> headers = new ConcurrentHashMap<>();
        for (String line = line(in); line != null && line.isEmpty() == false; line = line(in)) {
            int colon = line.indexOf(':');
            headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
        }
        int length = Integer.parseInt(headers.get("content-length"));
        byte[] body = in.readNBytes(length);
        if (body.length < length) {
            throw new IOException("the client gave up in the middle of its request");
        }
        int header = Integer.parseInt(headers.get("inference-header-content-length"));
        ByteBuffer tensors = ByteBuffer.wrap(body, header, body.length - header).order(ByteOrder.LITTLE_ENDIAN);
        byte[] text = new byte[tensors.getInt()];
        tensors.get(text);
        byte[] image = new byte[tensors.getInt()];
        tensors.get(image);
        if (tensors.hasRemaining()) {
            throw new IOException("bytes after the last tensor");
        }
        return new Asked(
            request.split(" ")[1],
            headers,
            XContentHelper.convertToMap(XContentType.JSON.xContent(), body, 0, header, false),
            new String(text, StandardCharsets.UTF_8),
            image
        );
    }

    private static String line(InputStream in) throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int c = in.read(); c != '\n'; c = in.read()) {
            if (c < 0) {
                return null;
            }
            if (c != '\r') {
                line.write(c);
            }
        }
        return line.toString(StandardCharsets.ISO_8859_1);
    }
}
