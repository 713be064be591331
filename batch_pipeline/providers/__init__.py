"""Who answers: OpenAI and what speaks its protocol, the local server among them, and Anthropic."""

from __future__ import annotations

from batch_pipeline.providers.anthropic import AnthropicProvider
from batch_pipeline.providers.base import Provider
from batch_pipeline.providers.openai import OpenAIProvider
from batch_pipeline.settings import ProviderName, Settings

__all__ = ["Provider", "provider_for"]


def provider_for(name: ProviderName, settings: Settings) -> Provider:
    """The provider of that name.

    Raises:
        MissingKey: It needs a key, and there is none.
    """
    match name:
        case "openai":
            return OpenAIProvider.openai(settings)
        case "local":
            return OpenAIProvider.local(settings)
        case "anthropic":
            return AnthropicProvider.of(settings)
