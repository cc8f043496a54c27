package org.mmsearch.neural;

import org.mmsearch.neural.vectors.NeuralServices;
import org.opensearch.core.xcontent.ObjectParser;
import org.opensearch.plugins.SearchPlugin.QuerySpec;

/** The clause on this node: its name, its parser and, after the start of the node, its services. */
public final class NeuralClause {

    private final String name;
    private final ObjectParser<NeuralBody, Void> parser;
    private volatile NeuralServices services;

    /** @param name {@code neural}, or another name if another plugin uses that one */
    public NeuralClause(String name) {
        this.name = name;
        this.parser = NeuralBody.parser(name);
    }

    /** Returns the clause to register. */
    public QuerySpec<NeuralQueryBuilder> spec() {
        return new QuerySpec<>(name, in -> new NeuralQueryBuilder(this, in), parser -> NeuralQueryBuilder.parse(this, parser));
    }

    /** Sets the services. Called once, when the node starts. */
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
            throw new IllegalStateException("[" + name + "] is used before the node has started");
        }
        return open;
    }
}
