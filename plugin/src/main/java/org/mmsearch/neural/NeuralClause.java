package org.mmsearch.neural;

import org.mmsearch.neural.vectors.NeuralServices;
import org.opensearch.core.xcontent.ObjectParser;
import org.opensearch.plugins.SearchPlugin.QuerySpec;

/** The clause as this node knows it: its name, its grammar, and what it works with once the node has started. */
public final class NeuralClause {

    private final String name;
    private final ObjectParser<NeuralBody, Void> parser;
    private volatile NeuralServices services;

    /** @param name {@code neural}, or another where that one is taken */
    public NeuralClause(String name) {
        this.name = name;
        this.parser = NeuralBody.parser(name);
    }

    /** The clause, to be registered. */
    public QuerySpec<NeuralQueryBuilder> spec() {
        return new QuerySpec<>(name, in -> new NeuralQueryBuilder(this, in), parser -> NeuralQueryBuilder.parse(this, parser));
    }

    /** Gives the clause what it works with; called once, when the node makes its components. */
    public void open(NeuralServices services) {
        this.services = services;
    }

    String name() {
        return name;
    }

    ObjectParser<NeuralBody, Void> parser() {
        return parser;
    }

    NeuralServices services() {
        NeuralServices open = services;
        if (open == null) {
            throw new IllegalStateException("[" + name + "] is used before the node has made its components");
        }
        return open;
    }
}
