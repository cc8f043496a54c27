package org.mmsearch.encoder.service;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.TrustManagerFactory;

import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.mmsearch.encoder.EncoderException;
import org.mmsearch.encoder.EncoderFailure;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.encoder.EncoderSettings;
import org.mmsearch.encoder.triton.Certificates;
import org.mmsearch.encoder.triton.Certificates.Identity;
import org.mmsearch.encoder.triton.Certificates.Use;
import org.mmsearch.encoder.triton.StubTriton;
import org.mmsearch.stats.EncoderStats;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.Settings;
import org.opensearch.test.OpenSearchTestCase;
import org.opensearch.threadpool.TestThreadPool;
import org.opensearch.threadpool.ThreadPool;

/** Tests fourteen certificates on the connection to Triton: two are accepted, twelve are rejected before a request is sent. */
public class TritonCertificatesTests extends OpenSearchTestCase {

    private static final EncoderModel MODEL = new EncoderModel("query_encoder", "1", "EMBEDDING", "f1", 2);
    private static final char[] PASSWORD = "changeit".toCharArray();

    private static Map<String, Identity> made;

    private ThreadPool threads;
    private Path config;

    /**
     * @param shown the certificate of the server; null for a server without TLS
     * @param believed the authority that the node trusts; null for none
     * @param client the certificate of the node, or null
     * @param asks whether the server requires a client certificate
     */
    private record Case(String name, String shown, String believed, String client, boolean asks) {

        static Case shown(String name) {
            return new Case(name, name, "ours", null, false);
        }
    }

    private static final List<Case> ACCEPTED = List.of(
        new Case("right", "right", "ours", null, false),
        new Case("both sides", "right", "ours", "client", true)
    );

    private static final List<Case> REFUSED = List.of(
        new Case("another authority", "right", "other", null, false),
        new Case("no authority named", "right", null, null, false),
        Case.shown("self-signed"),
        Case.shown("expired"),
        Case.shown("not yet valid"),
        Case.shown("another host"),
        Case.shown("host as a wildcard of names"),
        Case.shown("no intermediate"),
        Case.shown("for clients only"),
        new Case("no TLS", null, "ours", null, false),
        new Case("client without a certificate", "right", "ours", null, true),
        new Case("client of another authority", "right", "ours", "foreign client", true)
    );

    @BeforeClass
    public static void makeCertificates() throws GeneralSecurityException {
        made = new HashMap<>();
        Identity ours = Certificates.issue("ours", null, Use.AUTHORITY);
        Identity other = Certificates.issue("other", null, Use.AUTHORITY);
        Identity between = Certificates.issue("between", ours, Use.AUTHORITY);
        made.put("ours", ours);
        made.put("other", other);
        made.put("right", Certificates.issue("right", ours, Use.SERVER));
        made.put("self-signed", Certificates.issue("self-signed", null, Use.SERVER));
        made.put("expired", Certificates.issue("expired", ours, Use.SERVER, Certificates.LOOPBACK, -30, -1));
        made.put("not yet valid", Certificates.issue("not yet valid", ours, Use.SERVER, Certificates.LOOPBACK, 1, 30));
        made.put("another host", Certificates.issue("another host", ours, Use.SERVER, Certificates.host("other.example"), -1, 30));
        made.put(
            "host as a wildcard of names",
            Certificates.issue("wildcard", ours, Use.SERVER, Certificates.host("*.0.0.1"), -1, 30)
        );
        made.put("no intermediate", Certificates.issue("no intermediate", between, Use.SERVER));
        made.put("for clients only", Certificates.issue("for clients only", ours, Use.CLIENT));
        made.put("client", Certificates.issue("client", ours, Use.CLIENT));
        made.put("foreign client", Certificates.issue("foreign client", other, Use.CLIENT));
    }

    @AfterClass
    public static void forgetCertificates() {
        made = null;
    }

    @Override
    public void setUp() throws Exception {
        super.setUp();
        config = createTempDir();
        threads = new TestThreadPool(getTestName(), EncoderService.executor(Settings.EMPTY));
    }

    @Override
    public void tearDown() throws Exception {
        ThreadPool.terminate(threads, 10, TimeUnit.SECONDS);
        super.tearDown();
    }

    public void testThereAreFourteen() {
        assertEquals(2, ACCEPTED.size());
        assertEquals(12, REFUSED.size());
    }

    public void testAccepted() throws Exception {
        for (Case one : ACCEPTED) {
            try (StubTriton triton = new StubTriton(server(one))) {
                assertArrayEquals(one.name(), StubTriton.vectorOf("a chair"), encoded(one, "https", triton.port()), 0f);
                assertEquals(one.name(), 1, triton.calls.size());
            }
        }
    }

    public void testRefused() throws Exception {
        for (Case one : REFUSED) {
            if (one.shown() == null) {
                continue;
            }
            try (StubTriton triton = new StubTriton(server(one))) {
                EncoderException refused = refused(one, "https", triton.port());
                assertEquals(one.name(), EncoderFailure.UNREACHABLE, refused.failure());
                assertEquals(one.name(), List.of(), triton.calls);
            }
        }
    }

    public void testAServerWithoutTlsReceivesNothing() throws Exception {
        Case one = REFUSED.stream().filter(each -> each.shown() == null).findFirst().orElseThrow();
        try (ServerSocket plain = new ServerSocket(0, 50, InetAddress.getLoopbackAddress())) {
            CompletableFuture<String> heard = new CompletableFuture<>();
            Thread server = new Thread(() -> answerInPlain(plain, heard), "plain-server");
            server.start();
            assertEquals(EncoderFailure.UNREACHABLE, refused(one, "https", plain.getLocalPort()).failure());
            server.join();
            // A handshake begins with record type 22; no part of the query follows it.
            String said = heard.get(10, TimeUnit.SECONDS);
            assertEquals(22, said.charAt(0));
            assertFalse(said.contains("chair"));
        }
    }

    public void testAPlainCallOfATlsServerIsNoAnswer() throws Exception {
        Case right = ACCEPTED.get(0);
        try (StubTriton triton = new StubTriton(server(right))) {
            refused(right, "http", triton.port());
            assertEquals(List.of(), triton.calls);
        }
    }

    private static void answerInPlain(ServerSocket plain, CompletableFuture<String> heard) {
        try (Socket socket = plain.accept()) {
            byte[] first = new byte[4096];
            int count = socket.getInputStream().read(first);
            OutputStream out = socket.getOutputStream();
            out.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
            out.flush();
            heard.complete(new String(first, 0, count, StandardCharsets.ISO_8859_1));
        } catch (IOException e) {
            heard.completeExceptionally(e);
        }
    }

    private EncoderException refused(Case one, String scheme, int port) throws Exception {
        ExecutionException failed = expectThrows(ExecutionException.class, () -> encoded(one, scheme, port));
        assertTrue(one.name() + ": " + failed.getCause(), failed.getCause() instanceof EncoderException);
        return (EncoderException) failed.getCause();
    }

    /** Encodes over a connection with the node's settings. */
    private float[] encoded(Case one, String scheme, int port) throws Exception {
        Settings.Builder settings = Settings.builder()
            .putList("mmsearch.triton.endpoints", scheme + "://127.0.0.1:" + port)
            .put("mmsearch.triton.connect_timeout", "20s")
            .put("mmsearch.triton.timeout", "20s")
            .put("mmsearch.triton.retries", 0);
        if (one.believed() != null) {
            settings.put("mmsearch.triton.tls.authorities", file("authority.pem", made.get(one.believed()).certificatePem()));
        }
        if (one.client() != null) {
            settings.put("mmsearch.triton.tls.certificate", file("client.pem", made.get(one.client()).certificatePem()));
            settings.put("mmsearch.triton.tls.key", file("client.key", made.get(one.client()).keyPem()));
        }
        Settings built = settings.build();
        ClusterSettings dynamic = new ClusterSettings(built, new HashSet<>(EncoderSettings.all()));
        try (EncoderService service = new EncoderService(built, dynamic, config, threads, new EncoderStats())) {
            CompletableFuture<float[]> come = new CompletableFuture<>();
            service.encoder().encode(MODEL, EncoderInput.of("a chair", null), Long.MAX_VALUE, (vector, failure) -> {
                if (failure == null) {
                    come.complete(vector);
                } else {
                    come.completeExceptionally(failure);
                }
            });
            return come.get(30, TimeUnit.SECONDS);
        }
    }

    private String file(String name, String text) throws IOException {
        Files.writeString(config.resolve(name), text);
        return name;
    }

    private static ServerSocket server(Case one) throws GeneralSecurityException, IOException {
        Identity shown = made.get(one.shown());
        KeyStore own = KeyStore.getInstance("PKCS12");
        own.load(null, null);
        own.setKeyEntry("server", shown.keys().getPrivate(), PASSWORD, new Certificate[] { shown.certificate() });
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, PASSWORD);
        KeyStore authorities = KeyStore.getInstance("PKCS12");
        authorities.load(null, null);
        authorities.setCertificateEntry("ours", made.get("ours").certificate());
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        SSLServerSocket server = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(0, 50, InetAddress.getLoopbackAddress());
        server.setNeedClientAuth(one.asks());
        return server;
    }
}
