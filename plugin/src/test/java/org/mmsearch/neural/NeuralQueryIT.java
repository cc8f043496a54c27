package org.mmsearch.neural;

import java.util.Base64;
import java.util.List;

import org.mmsearch.encoder.triton.StubTriton;
import org.opensearch.ExceptionsHelper;
import org.opensearch.core.rest.RestStatus;

/** Tests the neural clause end to end with k-NN on a real node and a fake Triton server. */
public class NeuralQueryIT extends NeuralIT {

    public void testTextFindsItsNeighbours() {
        createEncoded("products", 2, "f1");
        indexProducts("products", 20);
        assertEquals("p7", ids("products", "{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 3}}}").get(0));
        assertEquals(1, triton.calls.size());
        assertEquals("/v2/models/query_encoder/versions/1/infer", triton.calls.get(0).path());
        assertEquals("a chair", triton.calls.get(0).text());
        assertEquals(0, triton.calls.get(0).image().length);
    }

    public void testImageGoesUndecoded() {
        createEncoded("products", 1, "f1");
        indexProducts("products", 3);
        byte[] gif = { 'G', 'I', 'F', '8', '9', 'a', 2, 0, 3, 0, 0, 0, 0 };
        triton.behave(new StubTriton.Behaviour.Answer(asked -> StubTriton.vectorOf("x")));
        String image = Base64.getEncoder().encodeToString(gif);
        assertEquals("p1", ids("products", "{\"neural\": {\"v\": {\"query_image\": \"" + image + "\", \"k\": 1}}}").get(0));
        assertArrayEquals(gif, triton.calls.get(0).image());
        assertEquals("", triton.calls.get(0).text());
    }

    public void testFilterGoesIntoTheKnnQuery() {
        createEncoded("products", 1, "f1");
        indexProducts("products", 20);
        String query = "{\"neural\": {\"v\": {\"query_text\": \"a chair\", \"k\": 2, \"filter\": {\"term\": {\"color\": \"red\"}}}}}";
        assertEquals(List.of("p6", "p8"), ids("products", query).stream().sorted().toList());
    }

    public void testAnotherFingerprintIsRefused() {
        createEncoded("products", 1, "another");
        indexProducts("products", 3);
        Exception e = expectThrows(Exception.class, () -> ids("products", "{\"neural\": {\"v\": {\"query_text\": \"a\"}}}"));
        assertEquals(RestStatus.BAD_REQUEST, ExceptionsHelper.status(e));
        assertTrue(e.getMessage(), e.getMessage().contains("another") && e.getMessage().contains("f1"));
    }
}
