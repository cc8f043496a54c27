package org.mmsearch.neural;

import java.io.IOException;
import java.util.Locale;
import java.util.Objects;
import java.util.function.BiConsumer;

import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.Query;
import org.mmsearch.WireForm;
import org.mmsearch.encoder.EncoderModel;
import org.mmsearch.neural.fields.RequestFields;
import org.mmsearch.neural.fields.VectorStorage;
import org.mmsearch.neural.vectors.NeuralServices;
import org.mmsearch.neural.vectors.QueryVector;
import org.mmsearch.neural.vectors.VectorSource;
import org.opensearch.OpenSearchStatusException;
import org.opensearch.action.ActionRunnable;
import org.opensearch.action.IndicesRequest;
import org.opensearch.common.SetOnce;
import org.opensearch.common.lease.Releasable;
import org.opensearch.core.action.ActionListener;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.rest.RestStatus;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.query.AbstractQueryBuilder;
import org.opensearch.index.query.MatchNoneQueryBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.QueryBuilderVisitor;
import org.opensearch.index.query.QueryCoordinatorContext;
import org.opensearch.index.query.QueryRewriteContext;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.WithFieldName;
import org.opensearch.transport.client.Client;

/**
 * The {@code neural} clause: encodes a text, an image or a document and searches with k-NN's {@code knn} query. The coordinating node
 * rewrites it and calls Triton without blocking a thread. Shards receive only the {@code knn} query.
 */
public final class NeuralQueryBuilder extends AbstractQueryBuilder<NeuralQueryBuilder> implements WithFieldName {

    private final NeuralClause clause;
    private final String field;
    private final NeuralBody body;
    /** Set to the rewritten query by this builder's asynchronous action; null before the action is registered. */
    private final SetOnce<QueryBuilder> rewritten;
    /** The encoder of {@link #rewritten}; null if that is null. */
    private final EncoderModel encodedBy;

    private NeuralQueryBuilder(NeuralClause clause, String field, NeuralBody body, SetOnce<QueryBuilder> rewritten, EncoderModel encodedBy) {
        this.clause = clause;
        this.field = field;
        this.body = body;
        this.rewritten = rewritten;
        this.encodedBy = encodedBy;
    }

    NeuralQueryBuilder(NeuralClause clause, StreamInput in) throws IOException {
        super(in);
        int form = WireForm.read(in, clause.name(), NeuralBody.WITH_TEXT_TO_IMAGE);
        this.clause = clause;
        this.field = in.readString();
        this.body = new NeuralBody(in, form);
        this.rewritten = null;
        this.encodedBy = null;
    }

    static NeuralQueryBuilder parse(NeuralClause clause, XContentParser parser) throws IOException {
        String field = null;
        NeuralBody body = null;
        while (parser.nextToken() != XContentParser.Token.END_OBJECT) {
            if (parser.currentToken() == XContentParser.Token.START_OBJECT) {
                throwParsingExceptionOnMultipleFields(clause.name(), parser.getTokenLocation(), field, parser.currentName());
                field = parser.currentName();
                try {
                    body = clause.parser().parse(parser, null);
                } catch (NeuralBody.UnsupportedKey e) {
                    throw new ParsingException(parser.getTokenLocation(), e.getMessage(), e);
                }
            } else if (parser.currentToken() != XContentParser.Token.FIELD_NAME) {
                throw new ParsingException(
                    parser.getTokenLocation(),
                    String.format(
                        Locale.ROOT,
                        "[%s] requires an object under the field's name, got %s under [%s]",
                        clause.name(),
                        parser.currentToken(),
                        parser.currentName()
                    )
                );
            }
        }
        if (body == null) {
            throw new ParsingException(parser.getTokenLocation(), "[" + clause.name() + "] requires a field's name, none specified");
        }
        return new NeuralQueryBuilder(clause, field, body.validated(clause.name()), null, null).boost(body.boost())
            .queryName(body.queryName());
    }

    @Override
    protected QueryBuilder doRewrite(QueryRewriteContext context) throws IOException {
        if (rewritten != null && rewritten.get() == null) {
            return this;
        }
        IndicesRequest request = coordinator(context).getSearchRequest();
        try {
            RequestFields fields = clause.services().fields().of(request, context.getWriteableRegistry());
            clause.services().fields().keep(request, fields);
            EncoderModel model = fields.encoder(field, body.modelId());
            // An alias that cannot be pinned may have moved to an index with another encoder. The vector is invalid there.
            if (rewritten != null && encodedBy.equals(model)) {
                return rewritten.get();
            }
            return model == null ? new MatchNoneQueryBuilder() : encoded(context, request, fields, model);
        } catch (IllegalArgumentException e) {
            throw prefixed(e);
        }
    }

    private IllegalArgumentException prefixed(IllegalArgumentException e) {
        String prefix = "[" + clause.name() + "] ";
        return String.valueOf(e.getMessage()).startsWith(prefix) ? e : new IllegalArgumentException(prefix + e.getMessage(), e);
    }

    private QueryBuilder encoded(QueryRewriteContext context, IndicesRequest request, RequestFields fields, EncoderModel model)
        throws IOException {
        NeuralServices services = clause.services();
        if (twoRounds() && fields.nested(field)) {
            // The search for the best hit matches root documents, which do not have this field.
            throw new IllegalArgumentException(
                "expected a [cutoff] with only [min_score] on a field of nested documents, got [relative_max] or [gap] on [" + field
                    + "]: put the [nested] query into a hybrid and use its [cutoff]"
            );
        }
        if (body.queryImage() != null) {
            return later(context, model, (client, listener) -> services.executor().execute(ActionRunnable.wrap(listener, done -> {
                // Base64 encodes 3 bytes in 4 characters. The image and the request with it exist at the same time, hence the factor 2.
                Releasable reserved = services.memory().reserve(body.queryImage().length() / 4L * 3 * 2, "the picture of a query");
                ActionListener<QueryBuilder> found = ActionListener.runBefore(done, reserved::close);
                ActionRunnable.wrap(found, then -> encodePicture(context, request, fields, model, client, then)).run();
            })));
        }
        if (context.validate()) {
            return knn(context, request, fields, placeholder(model.dimension()));
        }
        QueryVector query = body.queryVector(null);
        VectorSource source = source(context, request, fields, model);
        float[] cached = source.cached(query);
        return cached == null || twoRounds()
            ? later(context, model, (client, listener) -> fetch(context, request, fields, source, client, query, cached, listener))
            : cut(knn(context, request, fields, cached), body.cutoff().minScore());
    }

    /**
     * Decodes and encodes the image. Not called on transport threads, because decoding and hashing an image takes as long as many searches.
     */
    private void encodePicture(
        QueryRewriteContext context,
        IndicesRequest request,
        RequestFields fields,
        EncoderModel model,
        Client client,
        ActionListener<QueryBuilder> listener
    ) throws IOException {
        QueryVector query = body.queryVector(clause.services().images().decode(body.queryImage()));
        if (context.validate()) {
            listener.onResponse(knn(context, request, fields, placeholder(model.dimension())));
            return;
        }
        VectorSource source = source(context, request, fields, model);
        fetch(context, request, fields, source, client, query, source.cached(query), listener);
    }

    /** Registers an asynchronous action and returns a builder that waits for its result. */
    private QueryBuilder later(QueryRewriteContext context, EncoderModel model, BiConsumer<Client, ActionListener<QueryBuilder>> action) {
        SetOnce<QueryBuilder> set = new SetOnce<>();
        context.registerAsyncAction((client, listener) -> action.accept(client, ActionListener.wrap(found -> {
            set.set(found);
            listener.onResponse(null);
        }, failure -> listener.onFailure(failure instanceof IllegalArgumentException e ? prefixed(e) : failure))));
        return new NeuralQueryBuilder(clause, field, body, set, model).boost(boost).queryName(queryName);
    }

    /** @param cached the vector, or null to fetch it */
    private void fetch(
        QueryRewriteContext context,
        IndicesRequest request,
        RequestFields fields,
        VectorSource source,
        Client client,
        QueryVector query,
        float[] cached,
        ActionListener<QueryBuilder> listener
    ) {
        ActionListener<float[]> encoded = ActionListener.wrap(vector -> {
            QueryBuilder knn = knn(context, request, fields, vector);
            if (twoRounds() == false) {
                listener.onResponse(cut(knn, body.cutoff().minScore()));
                return;
            }
            NeuralServices services = clause.services();
            CutoffRound.leastScore(
                client,
                request,
                services.context().search(),
                services.context().task(),
                knn,
                body,
                services.vectors(),
                ActionListener.map(listener, least -> cut(knn, least))
            );
        }, listener::onFailure);
        if (cached == null) {
            source.fetch(query, client, encoded);
        } else {
            encoded.onResponse(cached);
        }
    }

    private VectorSource source(QueryRewriteContext context, IndicesRequest request, RequestFields fields, EncoderModel model) {
        String name = queryName == null ? field : queryName;
        return new VectorSource(
            clause.services(),
            request,
            fields,
            clause.name(),
            field,
            model,
            fields.textToImage(field, body.textToImage()),
            body.modelId(),
            reason -> clause.services().degraded().note(coordinator(context), name, reason)
        );
    }

    private boolean twoRounds() {
        return body.cutoff().relativeMax() != null || body.cutoff().gap() != null;
    }

    private QueryBuilder knn(QueryRewriteContext context, IndicesRequest request, RequestFields fields, float[] vector)
        throws IOException {
        QueryBuilder filter = clause.services().vectors().allowed(request, body.filter());
        if (body.like() != null) {
            filter = ExcludedDocument.document(body.like(), filter);
        }
        NeuralBody knn = filter == body.filter() ? body : body.withFilter(filter);
        VectorStorage storage = fields.storage(field);
        boolean nested = storage.faiss() && fields.nested(field);
        QueryBuilder query = KnnClause.of(context.getXContentRegistry(), field, storage, nested, knn, vector)
            .boost(boost)
            .queryName(queryName);
        return clause.services().vectors().among(query);
    }

    /** @param least the minimum score of kept hits, or null to keep all */
    private QueryBuilder cut(QueryBuilder knn, Float least) {
        if (least == null) {
            return knn;
        }
        if (least.isInfinite()) {
            return new MatchNoneQueryBuilder().queryName(queryName);
        }
        return clause.services().vectors().cut(knn, least);
    }

    private QueryCoordinatorContext coordinator(QueryRewriteContext context) {
        QueryCoordinatorContext coordinator = context.convertToCoordinatorContext();
        if (coordinator == null) {
            throw onShard();
        }
        return coordinator;
    }

    private OpenSearchStatusException onShard() {
        return new OpenSearchStatusException(
            "[{}] is encoded on the coordinating node and is not allowed in queries that shards rewrite, such as percolators and alias "
                + "filters; put it into the search itself",
            RestStatus.BAD_REQUEST,
            clause.name()
        );
    }

    /** Returns a vector that is valid for all space types. To validate a query, k-NN parses it with this vector, without encoding. */
    private static float[] placeholder(int dimension) {
        float[] unit = new float[dimension];
        unit[0] = 1;
        return unit;
    }

    /** Sets the model if the query has none. Called before the first rewrite only. */
    void defaultModelId(String modelId) {
        body.defaultModelId(modelId);
    }

    /** Increases {@code k} to at least this value, if it is set. Called before the first rewrite only. */
    public void atLeast(int k) {
        body.atLeast(k);
    }

    @Override
    protected Query doToQuery(QueryShardContext context) {
        throw onShard();
    }

    @Override
    public QueryBuilder filter(QueryBuilder filter) {
        if (validateFilterParams(filter) == false) {
            return this;
        }
        QueryBuilder both = body.filter() == null ? filter : body.filter().filter(filter);
        return new NeuralQueryBuilder(clause, field, body.withFilter(both), rewritten, encodedBy).boost(boost).queryName(queryName);
    }

    @Override
    public void visit(QueryBuilderVisitor visitor) {
        visitor.accept(this);
        if (body.filter() != null) {
            body.filter().visit(visitor.getChildVisitor(BooleanClause.Occur.FILTER));
        }
    }

    @Override
    protected void doWriteTo(StreamOutput out) throws IOException {
        if (rewritten != null) {
            throw new IllegalStateException("expected a rewritten [" + clause.name() + "] clause, got one that is still being encoded");
        }
        WireForm.begin(out, body.form());
        out.writeString(field);
        body.writeTo(out);
    }

    @Override
    protected void doXContent(XContentBuilder builder, Params params) throws IOException {
        builder.startObject(clause.name()).startObject(field);
        body.toXContent(builder, params);
        printBoostAndQueryName(builder);
        builder.endObject().endObject();
    }

    @Override
    protected boolean doEquals(NeuralQueryBuilder other) {
        return clause.name().equals(other.clause.name()) && field.equals(other.field) && body.equals(other.body);
    }

    @Override
    protected int doHashCode() {
        return Objects.hash(clause.name(), field, body);
    }

    @Override
    public String getWriteableName() {
        return clause.name();
    }

    @Override
    public String fieldName() {
        return field;
    }
}
