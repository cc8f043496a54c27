package org.mmsearch.encoder.triton;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.TrustManagerFactory;

import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsExchange;
import com.sun.net.httpserver.HttpsParameters;
import com.sun.net.httpserver.HttpsServer;
import org.junit.AfterClass;
import org.junit.BeforeClass;
import org.opensearch.common.settings.Settings;
import org.opensearch.test.OpenSearchTestCase;

/** Tests TLS connections to a real server on loopback, with keys that keytool creates for each run. */
public class TritonTlsTests extends OpenSearchTestCase {

    private static final char[] PASSWORD = "changeit".toCharArray();

    private static Path config;
    private static KeyStore serverKeys;
    private static KeyStore nodeKeys;
    private HttpsServer server;
    private final AtomicReference<String> shown = new AtomicReference<>();

    @BeforeClass
    public static void makeKeys() throws Exception {
        config = createTempDir();
        serverKeys = keys("server");
        nodeKeys = keys("node");
        pem("server.pem", "CERTIFICATE", serverKeys.getCertificate("server").getEncoded());
        pem("node.pem", "CERTIFICATE", nodeKeys.getCertificate("node").getEncoded());
        pem("node.key", "PRIVATE KEY", nodeKeys.getKey("node", PASSWORD).getEncoded());
    }

    @AfterClass
    public static void forgetKeys() {
        config = null;
        serverKeys = null;
        nodeKeys = null;
    }

    @Override
    public void setUp() throws Exception {
        super.setUp();
        start(serverKeys, nodeKeys);
    }

    @Override
    public void tearDown() throws Exception {
        server.stop(0);
        super.tearDown();
    }

    public void testOurAuthorityAndCertificate() throws Exception {
        assertEquals(200, get(settings("server.pem", "node.pem", "node.key")).statusCode());
        assertEquals("CN=node", shown.get());
    }

    public void testAnUnknownAuthorityIsRefused() {
        expectThrows(SSLException.class, () -> get(settings("node.pem", "node.pem", "node.key")));
    }

    public void testNoCertificateIsRefusedByTheServer() {
        expectThrows(IOException.class, () -> get(settings("server.pem", null, null)));
    }

    public void testNoFilesMeanTheJdksAuthorities() {
        assertNull(TritonTls.context(Settings.EMPTY, config));
    }

    public void testAnInvalidValueNamesItsSetting() throws Exception {
        Files.writeString(config.resolve("empty.pem"), "");
        Files.writeString(config.resolve("old.key"), "-----BEGIN RSA PRIVATE KEY-----\n");
        refused("mmsearch.triton.tls.authorities must contain PEM certificates", settings("empty.pem", null, null));
        refused("mmsearch.triton.tls.authorities cannot be read", settings("none.pem", null, null));
        refused("mmsearch.triton.tls.authorities must be a file under", settings("../server.pem", null, null));
        refused("got only one of them", settings("server.pem", "node.pem", null));
        refused("must be PKCS#8 in PEM, not encrypted", settings("server.pem", "node.pem", "old.key"));
    }

    private void refused(String message, Settings settings) {
        IllegalArgumentException e = expectThrows(IllegalArgumentException.class, () -> TritonTls.context(settings, config));
        assertTrue(e.getMessage(), e.getMessage().contains(message));
    }

    private static Settings settings(String authorities, String certificate, String key) {
        Settings.Builder settings = Settings.builder().put("mmsearch.triton.tls.authorities", authorities);
        if (certificate != null) {
            settings.put("mmsearch.triton.tls.certificate", certificate);
        }
        if (key != null) {
            settings.put("mmsearch.triton.tls.key", key);
        }
        return settings.build();
    }

    private HttpResponse<String> get(Settings settings) throws IOException, InterruptedException {
        HttpClient client = HttpClient.newBuilder()
            .sslContext(TritonTls.context(settings, config))
            .connectTimeout(Duration.ofSeconds(30))
            .build();
        try {
            URI uri = URI.create("https://127.0.0.1:" + server.getAddress().getPort() + "/");
            return client.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.ofString());
        } finally {
            client.shutdownNow();
            client.awaitTermination(Duration.ofSeconds(5));
        }
    }

    private void start(KeyStore own, KeyStore trusted) throws Exception {
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, PASSWORD);
        KeyStore authorities = KeyStore.getInstance("PKCS12");
        authorities.load(null, null);
        authorities.setCertificateEntry("node", trusted.getCertificate("node"));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(authorities);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            @Override
            public void configure(HttpsParameters parameters) {
                SSLParameters tls = context.getDefaultSSLParameters();
                tls.setNeedClientAuth(true);
                parameters.setSSLParameters(tls);
            }
        });
        server.createContext("/", exchange -> {
            X509Certificate peer = (X509Certificate) ((HttpsExchange) exchange).getSSLSession().getPeerCertificates()[0];
            shown.set(peer.getSubjectX500Principal().getName());
            exchange.sendResponseHeaders(200, -1);
            exchange.close();
        });
        server.start();
    }

    private static KeyStore keys(String name) throws Exception {
        Path store = config.resolve(name + ".p12");
        String keytool = Path.of(System.getProperty("java.home"), "bin", "keytool").toString();
        Process process = new ProcessBuilder(
            List.of(
                keytool, "-genkeypair", "-alias", name, "-keyalg", "EC", "-dname", "CN=" + name, "-ext", "SAN=ip:127.0.0.1",
                "-validity", "2", "-storetype", "PKCS12", "-keystore", store.toString(), "-storepass", new String(PASSWORD)
            )
        ).redirectErrorStream(true).start();
        try (InputStream said = process.getInputStream()) {
            String text = new String(said.readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(process.waitFor(60, TimeUnit.SECONDS));
            assertEquals(text, 0, process.exitValue());
        }
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (InputStream in = Files.newInputStream(store)) {
            keys.load(in, PASSWORD);
        }
        return keys;
    }

    private static void pem(String file, String what, byte[] der) throws IOException {
        String base64 = Base64.getMimeEncoder(64, new byte[] { '\n' }).encodeToString(der);
        Files.writeString(config.resolve(file), "-----BEGIN " + what + "-----\n" + base64 + "\n-----END " + what + "-----\n");
    }
}
