package org.mmsearch.neural.fields;

import java.util.Map;

import org.opensearch.test.OpenSearchTestCase;

/** The weights of the two parts of a vector. */
public class TextToImageTests extends OpenSearchTestCase {

    /** A quarter of the picture: (3/4 * 3/5, 1/4 * 4/5) = (9, 4) / 20, of length sqrt(97) / 20. */
    public void testBothPartsAreWeighedAndTheLengthIsOne() {
        float[] given = { 0.6f, 0.8f };
        float[] weighed = new TextToImage(1, 0.25f).weighed(given);
        assertEquals(9 / Math.sqrt(97), weighed[0], 1e-6);
        assertEquals(4 / Math.sqrt(97), weighed[1], 1e-6);
        assertArrayEquals("what was given may be cached", new float[] { 0.6f, 0.8f }, given, 0f);
    }

    /** Unit parts t and i, each half of a unit vector: the weighted query's products have the ratios of (1 - w) st + w si. */
    public void testTheInnerProductIsTheWeightedSumOfThePartsSimilarities() {
        float h = (float) Math.sqrt(0.5);
        float[] query = { h, 0, h, 0 };
        float[] first = { h * 0.6f, h * 0.8f, 0, h };
        float[] second = { 0, h, h * 0.28f, h * 0.96f };
        float[] weighed = new TextToImage(2, 0.3f).weighed(query);
        // Text similarities .6 and 0, picture similarities 0 and .28.
        assertEquals((0.7 * 0.6) / (0.3 * 0.28), dot(weighed, first) / dot(weighed, second), 1e-5);
    }

    public void testEqualWeightsChangeNothing() {
        float[] given = { 0.6f, 0.8f };
        assertSame(given, new TextToImage(1, 0.5f).weighed(given));
    }

    /** A query of one part stays a query: weighed by nothing it would have no direction. */
    public void testAVectorOfOnePartStays() {
        float[] textAlone = { 1, 0 };
        assertSame(textAlone, new TextToImage(1, 1f).weighed(textAlone));
        assertArrayEquals(textAlone, new TextToImage(1, 0.1f).weighed(textAlone), 1e-7f);
    }

    /** A field with vectors of the text alone, or a mapping that does not fit. */
    public void testAVectorWithoutAnImagePartStays() {
        float[] given = { 0.6f, 0.8f };
        assertSame(given, new TextToImage(2, 0.1f).weighed(given));
    }

    public void testOfAMapping() {
        assertEquals(new TextToImage(384, 0.16f), TextToImage.of(Map.of("text_to_image", Map.of("text_dimension", 384, "weight", 0.16))));
        assertEquals("not measured", new TextToImage(384, 0.5f), TextToImage.of(Map.of("text_to_image", Map.of("text_dimension", 384))));
        assertEquals(new TextToImage(384, 0.5f), TextToImage.of(Map.of("text_to_image", Map.of("text_dimension", 384, "weight", 7))));
        assertNull(TextToImage.of(Map.of()));
        assertNull(TextToImage.of(Map.of("text_to_image", 3)));
        assertNull(TextToImage.of(Map.of("text_to_image", Map.of("weight", 0.16))));
    }

    private static double dot(float[] a, float[] b) {
        double sum = 0;
        for (int i = 0; i < a.length; i++) {
            sum += (double) a[i] * b[i];
        }
        return sum;
    }
}
