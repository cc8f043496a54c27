package org.mmsearch.neural;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.mmsearch.WireForm;
import org.mmsearch.encoder.EncoderInput;
import org.mmsearch.fusion.Cutoff;
import org.mmsearch.neural.vectors.LikeDocument;
import org.mmsearch.neural.vectors.QueryVector;
import org.opensearch.core.ParseField;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.common.io.stream.Writeable;
import org.opensearch.core.xcontent.ObjectParser;
import org.opensearch.core.xcontent.ToXContentFragment;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.QueryBuilder;

/** The object of the field in a {@code neural} clause. Its parser defines the grammar. */
public final class NeuralBody implements Writeable, ToXContentFragment {

    static final int DEFAULT_K = 10;
    /** The form since which a body may say {@code text_to_image}. */
    static final int WITH_TEXT_TO_IMAGE = WireForm.FIRST + 1;

    private static final ParseField QUERY_TEXT = new ParseField("query_text");
    private static final ParseField QUERY_IMAGE = new ParseField("query_image");
    private static final ParseField QUERY_IMAGE_WEIGHT = new ParseField("query_image_weight");
    private static final ParseField TEXT_TO_IMAGE = new ParseField("text_to_image");
    private static final ParseField NEGATIVE_TEXT = new ParseField("negative_text");
    private static final ParseField LIKE = new ParseField("like");
    private static final ParseField MODEL_ID = new ParseField("model_id");
    private static final ParseField K = new ParseField("k");
    private static final ParseField MIN_SCORE = new ParseField("min_score");
    private static final ParseField MAX_DISTANCE = new ParseField("max_distance");
    private static final ParseField FILTER = new ParseField("filter");
    private static final ParseField METHOD_PARAMETERS = new ParseField("method_parameters");
    private static final ParseField RESCORE = new ParseField("rescore");
    private static final ParseField EXPAND_NESTED_DOCS = new ParseField("expand_nested_docs");
    private static final ParseField CUTOFF = new ParseField("cutoff");

    private String queryText;
    private String queryImage;
    private Float queryImageWeight;
    private Float textToImage;
    private NegativeText negativeText;
    private LikeDocument like;
    private String modelId;
    private Integer k;
    private Float minScore;
    private Float maxDistance;
    private QueryBuilder filter;
    private Map<String, Object> methodParameters;
    private Object rescore;
    private Boolean expandNestedDocs;
    private Cutoff cutoff = Cutoff.NONE;
    // Options of the clause. They are in the object of the field, as in the official clause.
    private float boost = AbstractQueryBuilder.DEFAULT_BOOST;
    private String queryName;

    /** An unknown key. The caller of the parser adds the location. */
    static final class UnsupportedKey extends IllegalArgumentException {
        private static final long serialVersionUID = 1L;

        UnsupportedKey(String message) {
            super(message);
        }
    }

    private NeuralBody() {}

    /**
     * Creates the parser.
     *
     * @param clause the clause's name, for error messages
     */
    static ObjectParser<NeuralBody, Void> parser(String clause) {
        ObjectParser<NeuralBody, Void> parser = new ObjectParser<>(clause, (body, field, value) -> {
            throw new UnsupportedKey("[" + clause + "] query does not support [" + field + "]");
        }, NeuralBody::new);
        parser.declareString((body, value) -> body.queryText = value, QUERY_TEXT);
        parser.declareString((body, value) -> body.queryImage = value, QUERY_IMAGE);
        parser.declareFloat((body, value) -> body.queryImageWeight = value, QUERY_IMAGE_WEIGHT);
        parser.declareFloat((body, value) -> body.textToImage = value, TEXT_TO_IMAGE);
        parser.declareField(
            (body, value) -> body.negativeText = value,
            (p, context) -> NegativeText.parse(p),
            NEGATIVE_TEXT,
            ObjectParser.ValueType.OBJECT_OR_STRING
        );
        parser.declareObject((body, value) -> body.like = value, (p, context) -> LikeDocument.parse(p), LIKE);
        parser.declareString((body, value) -> body.modelId = value, MODEL_ID);
        parser.declareInt((body, value) -> body.k = value, K);
        parser.declareFloat((body, value) -> body.minScore = value, MIN_SCORE);
        parser.declareFloat((body, value) -> body.maxDistance = value, MAX_DISTANCE);
        // As in `bool`, null means no filter.
        parser.declareObjectOrNull(
            (body, value) -> body.filter = value,
            (p, context) -> AbstractQueryBuilder.parseInnerQueryBuilder(p),
            null,
            FILTER
        );
        parser.declareObject((body, value) -> body.methodParameters = value, (p, context) -> p.mapOrdered(), METHOD_PARAMETERS);
        parser.declareField(
            (body, value) -> body.rescore = value,
            (p, context) -> p.currentToken() == XContentParser.Token.VALUE_BOOLEAN ? p.booleanValue() : p.mapOrdered(),
            RESCORE,
            ObjectParser.ValueType.OBJECT_OR_BOOLEAN
        );
        parser.declareBoolean((body, value) -> body.expandNestedDocs = value, EXPAND_NESTED_DOCS);
        parser.declareObject((body, value) -> body.cutoff = value, (p, context) -> Cutoff.parse(p.mapOrdered()), CUTOFF);
        parser.declareFloat((body, value) -> body.boost = value, AbstractQueryBuilder.BOOST_FIELD);
        parser.declareString((body, value) -> body.queryName = value, AbstractQueryBuilder.NAME_FIELD);
        return parser;
    }

    /**
     * @param form the form that it was written in
     */
    NeuralBody(StreamInput in, int form) throws IOException {
        textToImage = form >= WITH_TEXT_TO_IMAGE ? in.readOptionalFloat() : null;
        queryText = in.readOptionalString();
        queryImage = in.readOptionalString();
        queryImageWeight = in.readOptionalFloat();
        negativeText = in.readOptionalWriteable(NegativeText::new);
        like = in.readOptionalWriteable(LikeDocument::new);
        modelId = in.readOptionalString();
        k = in.readOptionalInt();
        minScore = in.readOptionalFloat();
        maxDistance = in.readOptionalFloat();
        filter = in.readOptionalNamedWriteable(QueryBuilder.class);
        methodParameters = in.readBoolean() ? in.readMap() : null;
        rescore = in.readGenericValue();
        expandNestedDocs = in.readOptionalBoolean();
        cutoff = new Cutoff(in);
    }

    /** The oldest form that can carry this, so that nodes with an earlier mmsearch read what they know. */
    int form() {
        return textToImage == null ? WireForm.FIRST : WITH_TEXT_TO_IMAGE;
    }

    @Override
    public void writeTo(StreamOutput out) throws IOException {
        if (form() >= WITH_TEXT_TO_IMAGE) {
            out.writeOptionalFloat(textToImage);
        }
        out.writeOptionalString(queryText);
        out.writeOptionalString(queryImage);
        out.writeOptionalFloat(queryImageWeight);
        out.writeOptionalWriteable(negativeText);
        out.writeOptionalWriteable(like);
        out.writeOptionalString(modelId);
        out.writeOptionalInt(k);
        out.writeOptionalFloat(minScore);
        out.writeOptionalFloat(maxDistance);
        out.writeOptionalNamedWriteable(filter);
        out.writeBoolean(methodParameters != null);
        if (methodParameters != null) {
            out.writeMap(methodParameters);
        }
        out.writeGenericValue(rescore);
        out.writeOptionalBoolean(expandNestedDocs);
        cutoff.writeTo(out);
    }

    @Override
    public XContentBuilder toXContent(XContentBuilder builder, Params params) throws IOException {
        field(builder, QUERY_TEXT, queryText);
        field(builder, QUERY_IMAGE, queryImage);
        field(builder, QUERY_IMAGE_WEIGHT, queryImageWeight);
        field(builder, TEXT_TO_IMAGE, textToImage);
        field(builder, NEGATIVE_TEXT, negativeText);
        field(builder, LIKE, like);
        field(builder, MODEL_ID, modelId);
        field(builder, K, k);
        field(builder, MIN_SCORE, minScore);
        field(builder, MAX_DISTANCE, maxDistance);
        field(builder, FILTER, filter);
        field(builder, METHOD_PARAMETERS, methodParameters);
        field(builder, RESCORE, rescore);
        field(builder, EXPAND_NESTED_DOCS, expandNestedDocs);
        field(builder, CUTOFF, cutoff.isNone() ? null : cutoff.asMap());
        return builder;
    }

    /**
     * Validates the combination of the keys and sets the default of {@code k}.
     *
     * @param clause the clause's name, for error messages
     * @throws IllegalArgumentException if the combination is invalid
     */
    NeuralBody validated(String clause) {
        require(clause, queryText != null || queryImage != null || like != null, "requires query_text, query_image or like, none specified");
        require(clause, queryText == null || queryText.isBlank() == false, "requires query_text not to be empty");
        require(clause, queryImage == null || queryImage.isEmpty() == false, "requires query_image not to be empty");
        require(
            clause,
            queryImageWeight == null || queryText != null && queryImage != null,
            "takes query_image_weight only with both query_text and query_image"
        );
        require(
            clause,
            queryImageWeight == null || queryImageWeight >= 0 && queryImageWeight <= 1,
            "requires query_image_weight from 0 to 1, got [" + queryImageWeight + "]"
        );
        require(
            clause,
            textToImage == null || queryText != null || negativeText != null,
            "takes text_to_image only with query_text or negative_text"
        );
        require(
            clause,
            textToImage == null || textToImage >= 0 && textToImage <= 1,
            "requires text_to_image from 0 to 1, got [" + textToImage + "]"
        );
        require(clause, modelId == null || modelId.isBlank() == false, "requires model_id not to be empty");
        int bounds = (k == null ? 0 : 1) + (minScore == null ? 0 : 1) + (maxDistance == null ? 0 : 1);
        require(clause, bounds <= 1, "takes only one of k, min_score and max_distance");
        require(clause, k == null || k > 0, "requires k to be greater than 0, got [" + k + "]");
        if (bounds == 0) {
            k = DEFAULT_K;
        }
        return this;
    }

    /**
     * Returns the parts of the query vector.
     *
     * @param image the decoded {@code query_image}, or null
     */
    QueryVector queryVector(byte[] image) {
        List<QueryVector.Part> parts = new ArrayList<>(3);
        if (queryImageWeight != null) {
            // Blends two unit vectors instead of using the encoder's own fusion.
            if (queryImageWeight < 1) {
                parts.add(new QueryVector.Part(1 - queryImageWeight, EncoderInput.of(queryText, null), null));
            }
            if (queryImageWeight > 0) {
                parts.add(new QueryVector.Part(queryImageWeight, EncoderInput.of(null, image), null));
            }
        } else if (queryText != null || image != null) {
            parts.add(new QueryVector.Part(1, EncoderInput.of(queryText, image), null));
        }
        if (like != null) {
            parts.add(new QueryVector.Part(like.weight(), null, like));
        }
        if (negativeText != null) {
            parts.add(new QueryVector.Part(-negativeText.weight(), EncoderInput.of(negativeText.text(), null), null));
        }
        return new QueryVector(List.copyOf(parts));
    }

    String queryText() {
        return queryText;
    }

    String queryImage() {
        return queryImage;
    }

    Float queryImageWeight() {
        return queryImageWeight;
    }

    Float textToImage() {
        return textToImage;
    }

    NegativeText negativeText() {
        return negativeText;
    }

    LikeDocument like() {
        return like;
    }

    String modelId() {
        return modelId;
    }

    Integer k() {
        return k;
    }

    Float minScore() {
        return minScore;
    }

    Float maxDistance() {
        return maxDistance;
    }

    QueryBuilder filter() {
        return filter;
    }

    Map<String, Object> methodParameters() {
        return methodParameters;
    }

    Object rescore() {
        return rescore;
    }

    Boolean expandNestedDocs() {
        return expandNestedDocs;
    }

    Cutoff cutoff() {
        return cutoff;
    }

    float boost() {
        return boost;
    }

    String queryName() {
        return queryName;
    }

    /** Sets the model if the query has none. */
    void defaultModelId(String modelId) {
        if (this.modelId == null) {
            this.modelId = modelId;
        }
    }

    /** Increases {@code k} to at least this value, if it is set. */
    void atLeast(int least) {
        if (k != null && k < least) {
            k = least;
        }
    }

    /** Returns a copy with another filter. */
    NeuralBody withFilter(QueryBuilder filter) {
        NeuralBody copy = copy();
        copy.filter = filter;
        return copy;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof NeuralBody that && Arrays.equals(values(), that.values());
    }

    @Override
    public int hashCode() {
        return Objects.hash(values());
    }

    private NeuralBody copy() {
        NeuralBody copy = new NeuralBody();
        copy.queryText = queryText;
        copy.queryImage = queryImage;
        copy.queryImageWeight = queryImageWeight;
        copy.textToImage = textToImage;
        copy.negativeText = negativeText;
        copy.like = like;
        copy.modelId = modelId;
        copy.k = k;
        copy.minScore = minScore;
        copy.maxDistance = maxDistance;
        copy.filter = filter;
        copy.methodParameters = methodParameters;
        copy.rescore = rescore;
        copy.expandNestedDocs = expandNestedDocs;
        copy.cutoff = cutoff;
        return copy;
    }

    private Object[] values() {
        return new Object[] {
            queryText,
            queryImage,
            queryImageWeight,
            textToImage,
            negativeText,
            like,
            modelId,
            k,
            minScore,
            maxDistance,
            filter,
            methodParameters,
            rescore,
            expandNestedDocs,
            cutoff };
    }

    private static void require(String clause, boolean holds, String message) {
        if (holds == false) {
            throw new IllegalArgumentException("[" + clause + "] " + message);
        }
    }

    private static void field(XContentBuilder builder, ParseField name, Object value) throws IOException {
        if (value != null) {
            builder.field(name.getPreferredName(), value);
        }
    }
}
