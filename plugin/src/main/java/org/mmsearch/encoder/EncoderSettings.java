package org.mmsearch.encoder;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

import org.opensearch.common.settings.SecureSetting;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Setting.Property;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.unit.TimeValue;
import org.opensearch.core.common.settings.SecureString;
import org.opensearch.core.common.unit.ByteSizeUnit;
import org.opensearch.core.common.unit.ByteSizeValue;

/** The settings of the connection to Triton and of calls. {@code plugin/README.md} lists them with their ranges. */
public final class EncoderSettings {

    /** URLs of the Triton servers, which share the calls. */
    public static final Setting<List<String>> ENDPOINTS = Setting.listSetting(
        "mmsearch.triton.endpoints",
        List.of("http://127.0.0.1:8000"),
        Function.identity(),
        EncoderSettings::checkEndpoints,
        Property.NodeScope,
        Property.Dynamic
    );

    /** Maximum time that a search waits for a vector. */
    public static final Setting<TimeValue> TIMEOUT = Setting.timeSetting(
        "mmsearch.triton.timeout",
        TimeValue.timeValueSeconds(2),
        TimeValue.timeValueMillis(1),
        TimeValue.timeValueMinutes(1),
        Property.NodeScope,
        Property.Dynamic
    );

    /** Connect timeout. */
    public static final Setting<TimeValue> CONNECT_TIMEOUT = Setting.timeSetting(
        "mmsearch.triton.connect_timeout",
        TimeValue.timeValueMillis(500),
        TimeValue.timeValueMillis(1),
        TimeValue.timeValueMinutes(1),
        Property.NodeScope
    );

    /** Maximum number of retries of a call after a lost connection, a 429 or a 503. */
    public static final Setting<Integer> RETRIES = integer("mmsearch.triton.retries", 2, 0, 10);

    /** Maximum number of calls in flight. */
    public static final Setting<Integer> MAX_IN_FLIGHT = integer("mmsearch.triton.max_in_flight", 64, 1, 4096);

    /** Maximum number of requests for a vector that wait in the queue. Further searches fail with 429. */
    public static final Setting<Integer> QUEUE_SIZE = integer("mmsearch.triton.queue_size", 256, 0, 65_536);

    /** Number of consecutive failures that open the breaker of an endpoint. */
    public static final Setting<Integer> BREAKER_FAILURES = integer("mmsearch.triton.breaker.failures", 5, 1, 1000);

    /** Time that a breaker stays open before a call probes the endpoint. */
    public static final Setting<TimeValue> BREAKER_PAUSE = Setting.timeSetting(
        "mmsearch.triton.breaker.pause",
        TimeValue.timeValueSeconds(1),
        TimeValue.timeValueMillis(10),
        TimeValue.timeValueMinutes(5),
        Property.NodeScope,
        Property.Dynamic
    );

    /** Maximum heap for cached vectors of recent queries; 0 disables the cache. */
    public static final Setting<ByteSizeValue> CACHE_SIZE = Setting.byteSizeSetting(
        "mmsearch.cache.size",
        new ByteSizeValue(32, ByteSizeUnit.MB),
        new ByteSizeValue(0),
        new ByteSizeValue(4, ByteSizeUnit.GB),
        Property.NodeScope,
        Property.Dynamic
    );

    /** PEM file with the trusted certificate authorities for Triton, in the node's config folder. */
    public static final Setting<String> TLS_AUTHORITIES = Setting.simpleString("mmsearch.triton.tls.authorities", Property.NodeScope);

    /** PEM file with the node's client certificate, in the node's config folder. */
    public static final Setting<String> TLS_CERTIFICATE = Setting.simpleString("mmsearch.triton.tls.certificate", Property.NodeScope);

    /** PEM file with the key of the client certificate (PKCS#8, not encrypted), in the node's config folder. */
    public static final Setting<String> TLS_KEY = Setting.simpleString("mmsearch.triton.tls.key", Property.NodeScope);

    /** Name of the HTTP header that contains the token. */
    public static final Setting<String> TOKEN_HEADER = Setting.simpleString(
        "mmsearch.triton.token_header",
        "Authorization",
        Property.NodeScope
    );

    /** Complete value of that header, such as {@code Bearer abc}; a secure setting in the node's keystore. */
    public static final Setting<SecureString> TOKEN = SecureSetting.secureString("mmsearch.triton.token", null);

    private EncoderSettings() {}

    /** Returns all settings, to be registered. */
    public static List<Setting<?>> all() {
        return List.of(
            ENDPOINTS,
            TIMEOUT,
            CONNECT_TIMEOUT,
            RETRIES,
            MAX_IN_FLIGHT,
            QUEUE_SIZE,
            BREAKER_FAILURES,
            BREAKER_PAUSE,
            CACHE_SIZE,
            TLS_AUTHORITIES,
            TLS_CERTIFICATE,
            TLS_KEY,
            TOKEN_HEADER,
            TOKEN
        );
    }

    /** Returns the dynamic settings in {@link TritonOptions}. */
    public static List<Setting<?>> dynamic() {
        return List.of(ENDPOINTS, TIMEOUT, RETRIES, MAX_IN_FLIGHT, QUEUE_SIZE, BREAKER_FAILURES, BREAKER_PAUSE);
    }

    /** Returns the options with the values of these settings. */
    public static TritonOptions options(Settings settings) {
        return new TritonOptions(
            ENDPOINTS.get(settings).stream().map(URI::create).toList(),
            TIMEOUT.get(settings).millis(),
            RETRIES.get(settings),
            MAX_IN_FLIGHT.get(settings),
            QUEUE_SIZE.get(settings),
            BREAKER_FAILURES.get(settings),
            BREAKER_PAUSE.get(settings).millis()
        );
    }

    private static Setting<Integer> integer(String key, int value, int least, int most) {
        return Setting.intSetting(key, value, least, most, Property.NodeScope, Property.Dynamic);
    }

    private static void checkEndpoints(List<String> endpoints) {
        if (endpoints.isEmpty()) {
            throw new IllegalArgumentException("mmsearch.triton.endpoints must name at least one server, got none");
        }
        for (String endpoint : endpoints) {
            if (isRoot(endpoint) == false) {
                throw new IllegalArgumentException(
                    String.format(
                        Locale.ROOT,
                        "mmsearch.triton.endpoints must be URLs such as http://127.0.0.1:8000 without query or user, got [%s]",
                        endpoint
                    )
                );
            }
        }
    }

    private static boolean isRoot(String endpoint) {
        try {
            URI uri = new URI(endpoint);
            return ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))
                && uri.getHost() != null
                && uri.getRawUserInfo() == null
                && uri.getRawQuery() == null
                && uri.getRawFragment() == null;
        } catch (URISyntaxException e) {
            return false;
        }
    }
}
