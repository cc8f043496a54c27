package org.mmsearch.neural.fields;

import java.util.Map;

import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.test.OpenSearchTestCase;

/** Tests that a mapping resolves to the same engine and compression as in k-NN 3.6. */
public class VectorStorageTests extends OpenSearchTestCase {

    public void testMappings() {
        Map<String, VectorStorage> expected = Map.ofEntries(
            Map.entry("{}", new VectorStorage(true, 1)),
            Map.entry("{'method': {'name': 'hnsw'}}", new VectorStorage(true, 1)),
            Map.entry("{'method': {'name': 'hnsw', 'engine': 'lucene'}}", VectorStorage.LUCENE),
            Map.entry("{'method': {'name': 'hnsw', 'engine': 'Lucene', 'parameters': {'encoder': {'name': 'sq'}}}}", new VectorStorage(false, 2)),
            Map.entry("{'method': {'name': 'ivf', 'engine': 'faiss'}}", new VectorStorage(true, 1)),
            Map.entry("{'method': {'name': 'hnsw', 'engine': 'faiss', 'parameters': {'encoder': {'name': 'sq', 'parameters': {'type': 'fp16'}}}}}",
                new VectorStorage(true, 2)),
            Map.entry("{'method': {'name': 'hnsw', 'engine': 'faiss', 'parameters': {'encoder': {'name': 'binary', 'parameters': {'bits': 2}}}}}",
                new VectorStorage(true, 16)),
            Map.entry("{'method': {'name': 'hnsw', 'engine': 'faiss', 'parameters': {'encoder': {'name': 'sq', 'parameters': {'bits': 1}}}}}",
                new VectorStorage(true, 32)),
            Map.entry("{'mode': 'on_disk'}", new VectorStorage(true, 32)),
            Map.entry("{'mode': 'on_disk', 'compression_level': '16x'}", new VectorStorage(true, 16)),
            Map.entry("{'mode': 'in_memory', 'compression_level': '8x'}", new VectorStorage(true, 8)),
            Map.entry("{'method': {'name': 'flat'}}", VectorStorage.LUCENE),
            Map.entry("{'mode': 'on_disk', 'compression_level': '4x'}", new VectorStorage(false, 4)),
            Map.entry("{'compression_level': '4x'}", new VectorStorage(false, 4)),
            Map.entry("{'model_id': 'trained'}", new VectorStorage(true, 1))
        );
        expected.forEach((json, storage) -> {
            Map<String, Object> field = XContentHelper.convertToMap(JsonXContent.jsonXContent, json.replace('\'', '"'), false);
            assertEquals(json, storage, VectorStorage.of(field));
        });
    }

    public void testSeveralIndicesUseTheStrictestStorage() {
        assertEquals(new VectorStorage(true, 16), new VectorStorage(true, 1).and(new VectorStorage(false, 16)));
        assertEquals(VectorStorage.LUCENE, VectorStorage.LUCENE.and(VectorStorage.LUCENE));
    }
}
