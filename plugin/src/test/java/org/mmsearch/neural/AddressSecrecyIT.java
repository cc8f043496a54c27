package org.mmsearch.neural;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CountDownLatch;

import org.mmsearch.encoder.triton.StubTriton.Behaviour;
import org.opensearch.ExceptionsHelper;
import org.opensearch.OpenSearchException;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.Strings;
import org.opensearch.core.xcontent.MediaTypeRegistry;
import org.opensearch.core.xcontent.ToXContent;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;

/** Tests that responses never contain Triton's address, for any failure. Operators see it in the stats. */
@ClusterScope(scope = Scope.SUITE, numDataNodes = 1, numClientNodes = 0, supportsDedicatedMasters = false)
public class AddressSecrecyIT extends NeuralIT {

    private static final String NEURAL = "{\"neural\": {\"v\": {\"query_text\": \"a chair\"}}}";

    /** The response, including stack traces. */
    private static String sent(Exception e) throws Exception {
        try (XContentBuilder json = JsonXContent.contentBuilder()) {
            ToXContent.Params traced = new ToXContent.MapParams(java.util.Map.of(OpenSearchException.REST_EXCEPTION_SKIP_STACK_TRACE, "false"));
            json.startObject();
            OpenSearchException.generateFailureXContent(json, traced, e, true);
            return json.endObject().toString() + ExceptionsHelper.stackTrace(e);
        }
    }

    private void assertSecret(String how) throws Exception {
        String address = "127.0.0.1:" + triton.port();
        Exception e = expectThrows(Exception.class, () -> ask("products", "{\"query\": " + NEURAL + "}"));
        String sent = sent(e);
        assertFalse(how + ": " + sent, sent.contains(address) || sent.contains(String.valueOf(triton.port())));
        String skip = "{\"query\": {\"hybrid\": {\"on_encoder_failure\": \"skip\", \"queries\": [{\"match_all\": {}}, " + NEURAL + "]}}}";
        try {
            SearchResponse degraded = ask("products", skip);
            assertFalse(how, Strings.toString(MediaTypeRegistry.JSON, degraded).contains(String.valueOf(triton.port())));
        } catch (Exception refused) {
            assertFalse(how, sent(refused).contains(String.valueOf(triton.port())));
        }
    }

    public void testAddress() throws Exception {
        createEncoded("products", 1, "f1");
        indexProducts("products", 3);
        set(Settings.builder().put("mmsearch.triton.timeout", "200ms").put("mmsearch.triton.retries", 0).put("mmsearch.triton.breaker.failures", 1000));
        for (int status : new int[] { 400, 404, 429, 500, 503 }) {
            triton.behave(new Behaviour.Status(status, "{\"error\": \"no\"}"));
            assertSecret("status " + status);
        }
        for (Behaviour behaviour : List.of(
            new Behaviour.Cut(),
            new Behaviour.Raw("SSH-2.0-OpenSSH\r\n".getBytes(StandardCharsets.US_ASCII)),
            new Behaviour.Held(new CountDownLatch(1), new Behaviour.Cut())
        )) {
            triton.behave(behaviour);
            assertSecret(behaviour.toString());
        }
        triton.close();
        assertSecret("nobody there");
        set(Settings.builder().put("mmsearch.triton.breaker.failures", 1).put("mmsearch.triton.breaker.pause", "1m"));
        assertSecret("one more");
        assertSecret("breaker open");
    }
}
