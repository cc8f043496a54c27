package org.mmsearch.encoder.triton;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.List;

import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;

import org.mmsearch.encoder.EncoderSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;

/** Builds the TLS context for Triton from PEM files in the node's config folder. Certificate verification cannot be disabled. */
public final class TritonTls {

    private static final char[] NO_PASSWORD = new char[0];
    private static final String KEY_BEGIN = "-----BEGIN PRIVATE KEY-----";
    private static final String KEY_END = "-----END PRIVATE KEY-----";

    private TritonTls() {}

    /**
     * Builds the TLS context.
     *
     * @param settings the node's settings
     * @param config the node's config folder
     * @return the context, or null if no file is configured, which means the JDK's trusted authorities
     * @throws IllegalArgumentException if a file is not usable; the message names its setting
     */
    public static SSLContext context(Settings settings, Path config) {
        boolean authorities = EncoderSettings.TLS_AUTHORITIES.exists(settings);
        boolean certificate = EncoderSettings.TLS_CERTIFICATE.exists(settings);
        if (certificate != EncoderSettings.TLS_KEY.exists(settings)) {
            throw new IllegalArgumentException(
                "expected both " + EncoderSettings.TLS_CERTIFICATE.getKey() + " and " + EncoderSettings.TLS_KEY.getKey()
                    + " or neither, got only one of them"
            );
        }
        if (authorities == false && certificate == false) {
            return null;
        }
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(
                certificate ? keys(settings, config) : null,
                authorities ? trust(file(EncoderSettings.TLS_AUTHORITIES, settings, config)) : null,
                null
            );
            return context;
        } catch (GeneralSecurityException e) {
            throw new IllegalArgumentException("the TLS context for Triton cannot be created: " + e.getMessage(), e);
        }
    }

    private static TrustManager[] trust(Path file) throws GeneralSecurityException {
        KeyStore store = emptyStore();
        int i = 0;
        for (Certificate authority : certificates(EncoderSettings.TLS_AUTHORITIES, file)) {
            store.setCertificateEntry("authority-" + i++, authority);
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory.getTrustManagers();
    }

    private static KeyManager[] keys(Settings settings, Path config) throws GeneralSecurityException {
        Collection<? extends Certificate> chain = certificates(
            EncoderSettings.TLS_CERTIFICATE,
            file(EncoderSettings.TLS_CERTIFICATE, settings, config)
        );
        KeyStore store = emptyStore();
        PrivateKey key = key(file(EncoderSettings.TLS_KEY, settings, config));
        store.setKeyEntry("node", key, NO_PASSWORD, chain.toArray(Certificate[]::new));
        KeyManagerFactory factory = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        factory.init(store, NO_PASSWORD);
        return factory.getKeyManagers();
    }

    private static KeyStore emptyStore() throws GeneralSecurityException {
        try {
            KeyStore store = KeyStore.getInstance("PKCS12");
            store.load(null, NO_PASSWORD);
            return store;
        } catch (IOException e) {
            throw new IllegalStateException("an empty key store needs no file", e);
        }
    }

    private static Path file(Setting<String> setting, Settings settings, Path config) {
        Path file = config.resolve(setting.get(settings)).normalize();
        if (file.startsWith(config.normalize()) == false) {
            throw new IllegalArgumentException(setting.getKey() + " must be a file under " + config + ", got " + file);
        }
        return file;
    }

    private static Collection<? extends Certificate> certificates(Setting<String> setting, Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            Collection<? extends Certificate> found = CertificateFactory.getInstance("X.509").generateCertificates(in);
            if (found.isEmpty()) {
                throw new IllegalArgumentException(setting.getKey() + " must contain PEM certificates, and " + file + " contains none");
            }
            return found;
        } catch (IOException | GeneralSecurityException e) {
            throw new IllegalArgumentException(setting.getKey() + " cannot be read from " + file + ": " + e.getMessage(), e);
        }
    }

    private static PrivateKey key(Path file) {
        byte[] encoded;
        try {
            String pem = Files.readString(file);
            int begin = pem.indexOf(KEY_BEGIN);
            int end = pem.indexOf(KEY_END);
            if (begin < 0 || end < begin) {
                throw new IllegalArgumentException(
                    EncoderSettings.TLS_KEY.getKey() + " must be PKCS#8 in PEM, not encrypted (" + KEY_BEGIN + "), and " + file
                        + " is not; convert it with: openssl pkcs8 -topk8 -nocrypt"
                );
            }
            encoded = Base64.getMimeDecoder().decode(pem.substring(begin + KEY_BEGIN.length(), end));
        } catch (IOException e) {
            throw new IllegalArgumentException(EncoderSettings.TLS_KEY.getKey() + " cannot be read from " + file, e);
        }
        for (String algorithm : List.of("RSA", "EC", "Ed25519")) {
            try {
                return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
            } catch (InvalidKeySpecException | java.security.NoSuchAlgorithmException e) {
                // The key has another algorithm. PKCS#8 includes the algorithm, so only the matching factory can read it.
                continue;
            }
        }
        throw new IllegalArgumentException(EncoderSettings.TLS_KEY.getKey() + " must be an RSA, EC or Ed25519 key");
    }
}
