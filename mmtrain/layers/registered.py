"""Import of all our layers, which registers the names that model.keras uses; see `mmtrain.with_keras`."""

import mmtrain.layers.encoding
import mmtrain.layers.end_to_end
import mmtrain.layers.fusion
import mmtrain.layers.image_decoding
import mmtrain.layers.network
import mmtrain.layers.numbers.dates
import mmtrain.layers.numbers.number_lists
import mmtrain.layers.numbers.prediction_scales
import mmtrain.layers.numbers.series
import mmtrain.layers.numbers.target_scales
import mmtrain.layers.pretrained
import mmtrain.layers.sets
import mmtrain.layers.stacks
import mmtrain.layers.table_encoder
import mmtrain.layers.tabular.blocks
import mmtrain.layers.tabular.members
import mmtrain.layers.tabular.number_encodings
import mmtrain.layers.text_tokens
import mmtrain.layers.tokenizers.encode
import mmtrain.layers.transformer_encoder
