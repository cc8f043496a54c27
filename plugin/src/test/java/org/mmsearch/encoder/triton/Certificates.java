package org.mmsearch.encoder.triton;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.Base64;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Creates certificates for tests in memory: valid ones, and ones with a single fault. The JDK can sign certificates only with keytool,
 * which takes a second per step, so this class encodes the required parts of RFC 5280 itself.
 */
public final class Certificates {

    /** A certificate with its key pair. */
    public record Identity(String name, X509Certificate certificate, KeyPair keys) {

        public String certificatePem() throws GeneralSecurityException {
            return pem("CERTIFICATE", certificate.getEncoded());
        }

        /** Returns the private key as PKCS#8. */
        public String keyPem() {
            return pem("PRIVATE KEY", keys.getPrivate().getEncoded());
        }

        private static String pem(String what, byte[] der) {
            String base64 = Base64.getMimeEncoder(64, new byte[] { '\n' }).encodeToString(der);
            return "-----BEGIN " + what + "-----\n" + base64 + "\n-----END " + what + "-----\n";
        }
    }

    /** The purpose of a certificate: authority, server or client. */
    public enum Use {
        AUTHORITY,
        SERVER,
        CLIENT
    }

    /** The alternative name that is verified for connections to 127.0.0.1. */
    public static final byte[] LOOPBACK = der(0x87, new byte[] { 127, 0, 0, 1 });

    private static final byte[] ECDSA_SHA256 = sequence(oid(1, 2, 840, 10045, 4, 3, 2));
    private static final byte[] TRUE = { 1, 1, (byte) 0xff };
    private static final AtomicInteger SERIAL = new AtomicInteger();

    private Certificates() {}

    /** The alternative name for a host name. */
    public static byte[] host(String name) {
        return der(0x82, name.getBytes(StandardCharsets.US_ASCII));
    }

    /**
     * Creates an identity that is valid for a month.
     *
     * @param issuer the issuer, or null for a self-signed certificate
     */
    public static Identity issue(String name, Identity issuer, Use use) throws GeneralSecurityException {
        return issue(name, issuer, use, LOOPBACK, -1, 30);
    }

    /**
     * Creates an identity.
     *
     * @param issuer the issuer, or null for a self-signed certificate
     * @param host the subject alternative name
     * @param begins start of the validity, in days from today
     * @param ends end of the validity, in days from today
     */
    public static Identity issue(String name, Identity issuer, Use use, byte[] host, int begins, int ends) throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair keys = generator.generateKeyPair();
        Instant now = Instant.now();
        byte[] body = sequence(
            der(0xa0, integer(2)),
            integer(SERIAL.incrementAndGet()),
            ECDSA_SHA256,
            distinguished(issuer == null ? name : issuer.name()),
            sequence(time(now.plus(begins, ChronoUnit.DAYS)), time(now.plus(ends, ChronoUnit.DAYS))),
            distinguished(name),
            keys.getPublic().getEncoded(),
            der(0xa3, sequence(use == Use.AUTHORITY ? ofAnAuthority() : ofALeaf(use, host)))
        );
        Signature signature = Signature.getInstance("SHA256withECDSA");
        signature.initSign(issuer == null ? keys.getPrivate() : issuer.keys().getPrivate());
        signature.update(body);
        byte[] signed = sequence(body, ECDSA_SHA256, der(3, concatenated(new byte[1], signature.sign())));
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        return new Identity(name, (X509Certificate) factory.generateCertificate(new ByteArrayInputStream(signed)), keys);
    }

    private static byte[] ofAnAuthority() {
        // Key usage: of the bits 5 (certificates) and 6 (lists), one of eight is not used.
        byte[] signs = der(3, new byte[] { 1, 0b0000_0110 });
        return concatenated(extension(true, sequence(TRUE), 2, 5, 29, 19), extension(true, signs, 2, 5, 29, 15));
    }

    private static byte[] ofALeaf(Use use, byte[] host) {
        byte[] purpose = sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, use == Use.SERVER ? 1 : 2));
        return concatenated(
            extension(true, sequence(), 2, 5, 29, 19),
            extension(false, sequence(host), 2, 5, 29, 17),
            extension(false, purpose, 2, 5, 29, 37)
        );
    }

    private static byte[] extension(boolean critical, byte[] value, int... id) {
        return sequence(oid(id), critical ? TRUE : new byte[0], der(4, value));
    }

    private static byte[] distinguished(String name) {
        return sequence(der(0x31, sequence(oid(2, 5, 4, 3), der(12, name.getBytes(StandardCharsets.UTF_8)))));
    }

    private static byte[] time(Instant at) {
        DateTimeFormatter digits = DateTimeFormatter.ofPattern("yyMMddHHmmss'Z'", Locale.ROOT).withZone(ZoneOffset.UTC);
        return der(0x17, digits.format(at).getBytes(StandardCharsets.US_ASCII));
    }

    private static byte[] integer(int value) {
        return der(2, BigInteger.valueOf(value).toByteArray());
    }

    private static byte[] oid(int... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(40 * parts[0] + parts[1]);
        for (int i = 2; i < parts.length; i++) {
            for (int shift = 28; shift > 0; shift -= 7) {
                if (parts[i] >> shift != 0) {
                    out.write(parts[i] >> shift & 0x7f | 0x80);
                }
            }
            out.write(parts[i] & 0x7f);
        }
        return der(6, out.toByteArray());
    }

    private static byte[] sequence(byte[]... parts) {
        return der(0x30, concatenated(parts));
    }

    private static byte[] der(int tag, byte[] value) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(tag);
        if (value.length < 0x80) {
            out.write(value.length);
        } else {
            byte[] length = BigInteger.valueOf(value.length).toByteArray();
            int from = length[0] == 0 ? 1 : 0;
            out.write(0x80 | length.length - from);
            out.write(length, from, length.length - from);
        }
        out.writeBytes(value);
        return out.toByteArray();
    }

    private static byte[] concatenated(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }
}
