package org.mmsearch;

import org.opensearch.action.search.SearchRequest;
import org.opensearch.action.support.WriteRequest;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.WrapperQueryBuilder;
import org.opensearch.search.builder.SearchSourceBuilder;

/** Tests that a node with k-NN and mmsearch starts and runs a vector query. */
public class StartIT extends MmsearchIT {

    public void testKnnBesideMmsearch() {
        createProducts("products", 1, 2);
        for (int i = 0; i < 3; i++) {
            client().prepareIndex("products")
                .setId("p" + i)
                .setSource("{\"title\": \"chair\", \"v\": [%s, 0]}".formatted(i), XContentType.JSON)
                .setRefreshPolicy(WriteRequest.RefreshPolicy.IMMEDIATE)
                .get();
        }
        SearchSourceBuilder source = new SearchSourceBuilder().query(
            new WrapperQueryBuilder("{\"knn\": {\"v\": {\"vector\": [1.9, 0], \"k\": 2}}}")
        );
        var hits = client().search(new SearchRequest("products").source(source)).actionGet().getHits().getHits();
        assertEquals(2, hits.length);
        assertEquals("p2", hits[0].getId());
        assertEquals("p1", hits[1].getId());
    }
}
